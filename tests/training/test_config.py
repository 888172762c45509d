"""A setting that is misspelt, mistyped or out of range stops the run, with its name."""

from pathlib import Path

import pytest

from training.build import BUILDERS
from training.config import MODEL_DEFAULTS, FitConfig, configure, read_grid, read_settings
from training.errors import InvalidConfig


def configured(file: Path | None, *settings: str) -> FitConfig:
    return configure(read_settings(file, settings))


def refusal(file: Path | None, *settings: str) -> str:
    with pytest.raises(InvalidConfig) as caught:
        configured(file, *settings)
    return str(caught.value)


def written(folder: Path, text: str) -> Path:
    (folder / "config.toml").write_text(text)
    return folder / "config.toml"


def test_without_anything_the_defaults_hold() -> None:
    assert configured(None) == configure({}) == FitConfig()


def test_a_file_overlays_the_defaults_and_set_overlays_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "rank = 3\nlearning_rate = 0.5\nhidden_dims = [7, 9]\n")
    config = configured(file, "rank=5", "patience = 2")
    assert config == FitConfig(rank=5, learning_rate=0.5, hidden_dims=(7, 9), patience=2)


def test_the_last_set_wins() -> None:
    assert configured(None, "rank=5", "rank=6").rank == 6


def test_values_are_toml() -> None:
    config = configured(None, "hidden_dims=[8, 4]", "learning_rate=1e-4", "batch_size=1_000")
    assert (config.hidden_dims, config.learning_rate, config.batch_size) == ((8, 4), 1e-4, 1000)


@pytest.mark.parametrize("form", ["static", "gate", "cpd", "full"])
def test_the_form_of_fusion_is_a_choice(form: str) -> None:
    assert configured(None, f"fusion={form!r}").fusion == form
    assert read_grid(["fusion=['static', 'cpd']"]) == [{"fusion": "static"}, {"fusion": "cpd"}]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["neighbours=[10]"], "metammf-mf cannot draw them"),
        (["model='vbpr'", "neighbours=[10]"], "vbpr cannot draw them"),
        (["model='lightgcn'", "neighbours=[10]"], "neighbours: lightgcn takes 2, one for each"),
        (["model='metammf-gcn'", "layers=1", "neighbours=[9]"], "metammf-gcn takes 2"),
        (["model='metammf-gcn'", "optimiser='rows'"], "set neighbours too"),
        (["model='lightgcn'", "neighbours=[10, 0]"], "neighbours"),
        (["optimiser='sparse'"], "optimiser"),
    ],
)
def test_what_does_not_go_together_with_the_model_is_refused(
    settings: list[str], told: str
) -> None:
    assert told in refusal(None, *settings)


def test_neighbours_are_one_number_for_each_layer() -> None:
    for settings in (
        ["model='lightgcn'", "layers=3", "neighbours=[9, 5, 2]"],
        ["model='metammf-gcn'", "neighbours=[9, 5]"],
    ):
        assert configured(None, *settings).neighbours[:2] == (9, 5)
    assert configured(None, "optimiser='rows'").optimiser == "rows"


def test_no_hidden_layers_is_a_choice() -> None:
    assert configured(None, "hidden_dims=[]").hidden_dims == ()


@pytest.mark.parametrize(
    "setting", ["ranks=3", "Rank=3", "learning-rate=0.1", "id_dim=8", "=3", "a.b=3"]
)
def test_an_unknown_key_is_named_with_the_known_ones(setting: str) -> None:
    text = refusal(None, setting)
    assert f"`{setting.partition('=')[0]}`" in text
    assert "known keys: model, vector_dim" in text


def test_an_unknown_key_in_a_file_is_named(tmp_path: Path) -> None:
    assert "`ranks`" in refusal(written(tmp_path, "ranks = 3\n"))
    assert "`fit`" in refusal(written(tmp_path, "[fit]\nrank = 3\n"))


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("rank='8'", "rank"),
        ("rank=8.0", "rank"),
        ("rank=true", "rank"),
        ("rank=[8]", "rank"),
        ("hidden_dims=8", "hidden_dims"),
        ("hidden_dims=[8, 'x']", "hidden_dims"),
        ("learning_rate='fast'", "learning_rate"),
        ("rank=0", "rank"),
        ("rank=-1", "rank"),
        ("vector_dim=8193", "vector_dim"),
        ("hidden_dims=[0]", "hidden_dims"),
        ("learning_rate=0", "learning_rate"),
        ("learning_rate=-0.1", "learning_rate"),
        ("learning_rate=1.5", "learning_rate"),
        ("learning_rate=nan", "learning_rate"),
        ("learning_rate=inf", "learning_rate"),
        ("regularisation=-1", "regularisation"),
        ("regularisation=nan", "regularisation"),
        ("batch_size=0", "batch_size"),
        ("batch_size=2_000_000", "batch_size"),
        ("max_epochs=0", "max_epochs"),
        ("patience=0", "patience"),
        ("fusion='mixed'", "fusion"),
        ("fusion=1", "fusion"),
        ("model='most-popular'", "model"),
        ("model=['bpr-mf']", "model"),
        ("objective='hinge'", "objective"),
        ("negatives=0", "negatives"),
        ("temperature=0", "temperature"),
        ("arrival_share=1.1", "arrival_share"),
        ("modality_dropout=-0.1", "modality_dropout"),
        ("feature_dropout=1", "feature_dropout"),
        ("fusion_decay=-1", "fusion_decay"),
        ("layers=0", "layers"),
        ("validate_every=0", "validate_every"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_named(setting: str, key: str) -> None:
    assert f"$.{key}" in refusal(None, setting)


@pytest.mark.parametrize("setting", ["rank", "", "rank:3"])
def test_a_setting_without_an_equals_sign_is_told(setting: str) -> None:
    assert f"--set {setting!r}: expected key=value" in refusal(None, setting)


@pytest.mark.parametrize("setting", ["rank=", "rank=fast", "rank=3 4", "hidden_dims=[1"])
def test_what_is_no_toml_value_is_told(setting: str) -> None:
    assert f"--set {setting!r}" in refusal(None, setting)
    assert "is no TOML value" in refusal(None, setting)


@pytest.mark.parametrize("content", [b"rank = ", b"rank: 3", b"\xff\xfe", b"rank = 3\nrank = 4\n"])
def test_a_file_that_is_no_toml_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    assert f"{tmp_path / 'bad.toml'}: " in refusal(tmp_path / "bad.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "gone.toml" in refusal(tmp_path / "gone.toml")
    assert str(tmp_path) in refusal(tmp_path)


def test_a_grid_is_every_combination_of_its_axes() -> None:
    assert read_grid([]) == [{}]
    assert read_grid(["rank=[4, 8]", "learning_rate=[1e-3]"]) == [
        {"rank": 4, "learning_rate": 1e-3},
        {"rank": 8, "learning_rate": 1e-3},
    ]


@pytest.mark.parametrize("axis", ["rank", "rank=4", "rank=[]", "rank=[4"])
def test_a_grid_axis_is_a_key_and_an_array(axis: str) -> None:
    with pytest.raises(InvalidConfig, match="rank"):
        read_grid([axis])


def test_every_model_can_be_chosen() -> None:
    for model in BUILDERS:
        assert configured(None, f"model={model!r}").model == model


@pytest.mark.parametrize("model", list(BUILDERS))
def test_a_model_has_defaults_of_its_own_and_the_others_are_those_of_all(model: str) -> None:
    own = MODEL_DEFAULTS.get(model, {})
    config, common = configure({"model": model}), FitConfig()
    for key in FitConfig.__struct_fields__:
        expected = model if key == "model" else own.get(key, getattr(common, key))
        assert getattr(config, key) == expected, key


def test_a_baseline_that_ranks_pairs_and_meta_mmf_differ_in_objective() -> None:
    assert configure({"model": "bpr-mf"}).objective == "bpr"
    assert configure({"model": "metammf-gcn"}).objective == "softmax"


def test_what_is_asked_for_wins_over_the_defaults_of_the_model(tmp_path: Path) -> None:
    file = written(tmp_path, "model = 'lightgcn'\nlayers = 4\nregularisation = 0.5\n")
    config = configured(file, "regularisation=0.25")
    assert (config.layers, config.regularisation) == (4, 0.25)
    assert config.objective == "bpr"
    # The common default, said out loud, is asked for too.
    said = configured(None, "model='bpr-mf'", "objective='softmax'", "temperature=0.2")
    assert (said.objective, said.temperature) == ("softmax", 0.2)


def test_the_model_of_a_setting_decides_the_defaults_whatever_the_file_says(
    tmp_path: Path,
) -> None:
    file = written(tmp_path, "model = 'bpr-mf'\n")
    assert configured(file, "model='metammf-mf'") == FitConfig()


def test_settings_are_what_was_asked_for_and_no_more(tmp_path: Path) -> None:
    assert read_settings(None) == {}
    file = written(tmp_path, "rank = 3\n")
    assert read_settings(file, ["layers=2"]) == {"rank": 3, "layers": 2}


def test_patience_ends_nothing_before_a_second_validation() -> None:
    assert configure({"validate_every": 7, "patience": 7}).patience == 7
    told = refusal(None, "validate_every=7", "patience=6")
    assert told.startswith("patience: expected at least validate_every, 7,")
    assert told.endswith("found 6")
