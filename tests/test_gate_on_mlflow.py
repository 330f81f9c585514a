"""The stage `register` on a real MLflow store, with networks made by hand."""

import shutil
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from tests.threshold_project import ThresholdProject

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
]  # MLflow's own warnings; each model is started in a process of its own


def test_a_year_on_a_real_store(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    registry = ThresholdProject(Path(shutil.copytree(empty_store, tmp_path / "project")))

    # wrong: brightness 115 to 127, images 449 to 499
    assert registry.register(0.45) == "accuracy 0.9490; there was no champion before"
    assert registry.aliases == {"champion": "1", "anchor": "1"}

    assert ": worse (margin 1.0 pt)" in registry.register(0.35)
    assert registry.aliases == {"champion": "1", "anchor": "1", "challenger": "2"}

    shutil.rmtree(registry.paths.scratch / "predictions")  # so that the champion is asked, at the image size that is its own
    assert "+5.10 pt [+3.90, +6.64] against the champion on the same 1,000 images: better" in registry.register(0.5, side=16)
    assert {alias: registry.aliases[alias] for alias in ("champion", "anchor", "previous")} == {
        "champion": "3",
        "anchor": "3",
        "previous": "1",
    }

    version = registry.client.get_model_version("flowers", "3")
    assert "v3 vs champion v1: +5.10 pt" in str(version.description)
    kept = {file.path for file in registry.client.list_artifacts(str(version.run_id), "register")}
    assert {"register/flips.csv", "register/flips.html", "register/champion_answers.parquet"} <= kept
    page = Path(registry.client.download_artifacts(str(version.run_id), "register/flips.html", str(tmp_path))).read_text(encoding="utf-8")
    assert page.count("<figure>") == 24

    model_id = str(version.source).removeprefix("models:/")
    shutil.rmtree(registry.paths.mlruns / "artifacts" / "models" / model_id)
    with pytest.raises(TrackingError, match=r"The champion cannot be scored on the test images, so nothing was decided: .*version 3"):
        registry.register(0.49, seen="j")
    assert registry.aliases["champion"] == "3"
    assert len(registry.client.search_model_versions("name = 'flowers'")) == 3
