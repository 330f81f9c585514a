"""Class names that programs tend to change, hide or stumble over."""

LONG = "y" * 90
ODD_NAMES = [
    "None", "NA", "nan", "null", "True", "007", "7", "1e5", "-1", "cat, black", "tab\there", "line\nfeed", "carriage\rreturn", 'quo"te',
    "<b>", "{x} {{ y }}", "100 %s", "$\\alpha$", "back\\slash", "a|b*c_d`e", "🐱", "שלום (abc)", "日本語", "日本", "x" * 200,
    f"{LONG}1{LONG}", f"{LONG}2{LONG}", "two  spaces",
]  # fmt: skip
