"""The presets in docs/presets/ are whole params files that can take the place of params.yaml."""

from pathlib import Path

import pytest

from pipeline.params.reader import load_config

ROOT = Path(__file__).parent.parent
PRESETS = sorted((ROOT / "docs" / "presets").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_a_recipe_for_the_same_pipeline(preset: Path) -> None:
    own, other = load_config(ROOT / "params.yaml").flat(), load_config(preset).flat()
    changed = {name.split(".")[0] for name in own if own[name] != other[name]}

    assert changed <= {"preprocess", "augment", "model", "train"}
    assert {"model", "train"} <= changed


def test_every_preset_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")

    assert PRESETS
    assert [preset.name for preset in PRESETS if f"presets/{preset.name}" not in text] == []
