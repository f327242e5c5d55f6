from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from skillforge.config import read_settings
from skillforge.endpoints import RESERVED, Endpoint, ModelOptions, Price
from skillforge.errors import SkillFileError

SERVER = 'kind = "openai-chat"\nbase_url = "http://localhost:11434/v1"\n'


def settings(folder: Path, text: str):
    (folder / "skillforge.toml").write_text(text)
    return read_settings(folder)


def test_a_models_own_options_go_before_its_servers():
    server = Endpoint(kind="anthropic", base_url="https://x.test", temperature=0, effort="low", timeout_s=5)
    own = ModelOptions(effort="high", price=Price(input=1, output=2))
    merged = own.over(server)
    assert (merged.effort, merged.temperature, merged.timeout_s) == ("high", 0, 5)
    assert merged.price == Price(input=1, output=2)
    assert type(merged) is ModelOptions


def test_endpoints_and_models_are_read_from_the_settings(tmp_path):
    read = settings(
        tmp_path,
        f'[endpoints.ollama]\n{SERVER}temperature = 0\n[models."ollama:qwen3:8b"]\nprice = {{input = 0, output = 0}}\n',
    )
    assert read.endpoints["ollama"].temperature == 0
    assert read.models["ollama:qwen3:8b"].price == Price(input=0, output=0)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_an_endpoint_cannot_take_a_name_of_ours(tmp_path, name):
    with pytest.raises(SkillFileError, match="cannot be an endpoint's name"):
        settings(tmp_path, f"[endpoints.{name}]\n{SERVER}")


@pytest.mark.parametrize("name", ['"a:b"', '"A"', '"a b"', '""'])
def test_an_endpoints_name_is_a_small_word(tmp_path, name):
    with pytest.raises(SkillFileError, match="cannot be an endpoint's name"):
        settings(tmp_path, f"[endpoints.{name}]\n{SERVER}")


@pytest.mark.parametrize(
    "url", ["localhost:11434", "ftp://x", "https://user:secretpass@x.test", "https://x.test/?key=secretpass", "http://"]
)
def test_an_address_holds_no_secret_and_a_wrong_one_is_not_repeated(tmp_path, url):
    with pytest.raises(SkillFileError) as caught:
        settings(tmp_path, f'[endpoints.x]\nkind = "anthropic"\nbase_url = "{url}"\n')
    assert "base_url" in str(caught.value)
    assert "secretpass" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        'effort = "extreme"',
        "temperature = 3",
        "concurrency = 0",
        "timeout_s = 0",
        "thinking_tokens = -1",
        "nonsense = 1",
    ],
)
def test_an_option_out_of_range_names_its_field(tmp_path, wrong):
    with pytest.raises(SkillFileError, match=wrong.split(" ")[0]):
        settings(tmp_path, f'[models."anthropic:x"]\n{wrong}\n')


def test_prices_are_not_negative():
    with pytest.raises(ValidationError):
        Price(input=-1, output=0)


def test_a_typing_error_in_a_table_is_told_that_tables_keys(tmp_path):
    with pytest.raises(SkillFileError, match="did you mean 'effort'"):
        settings(tmp_path, '[models."openai:x"]\nefort = "low"\n')
    with pytest.raises(SkillFileError, match="did you mean 'api_key_env'"):
        settings(tmp_path, f'[endpoints.x]\n{SERVER}api_key_enw = "K"\n')


@pytest.mark.parametrize("name", ["local:smollm2-135m", "gone:m", "openai", "openai:"])
def test_options_that_no_model_would_take_are_refused(tmp_path, name):
    with pytest.raises(SkillFileError, match="options are for models on a server"):
        settings(tmp_path, f'[models."{name}"]\ntemperature = 0\n')
