"""The processor of this machine, as far as it matters for whole numbers."""

from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "asimddp")
"""Instructions that add up products of 8-bit numbers in 32 bits: VNNI, and ARM's."""
TOLD = (*DOT_PRODUCTS, "avx2", "avx512f", "avx512_bf16", "amx_int8", "amx_bf16", "neon", "asimd")


def cpu_flags(info: Path = CPU_INFO) -> list[str]:
    """What the processor has of TOLD; empty where the system does not say."""
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    said = {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.partition(":")[2].split()}
    return [flag for flag in TOLD if flag in said]


def needs_seven_bits(flags: list[str]) -> bool:
    """Whether 8-bit weights could overflow here: Intel's and AMD's older processors add two products in 16 bits. So if nothing is known."""
    return not any(flag in flags for flag in DOT_PRODUCTS)
