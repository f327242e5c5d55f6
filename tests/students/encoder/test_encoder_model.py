from __future__ import annotations

import io
import json
import pickle
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from skillforge.errors import MissingPackage, UsageError
from skillforge.students.encoder import model
from skillforge.students.encoder.backends import open_backend
from skillforge.students.encoder.fit import Row, fit_encoder
from skillforge.students.encoder.model import MAX_BYTES, dump_model, load_model

ROWS = [
    Row(f"{word} {number}", {"colour": {label: 1.0}})
    for number in range(6)
    for word, label in (("cherry", '"red"'), ("sky", '"blue"'))
]


@pytest.fixture(scope="module")
def data() -> bytes:
    return dump_model(fit_encoder(ROWS))


def changed(data: bytes, change) -> bytes:
    """The archive with another schema."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            body = old.read(entry)
            if entry.filename == "schema.json":
                schema = json.loads(body)
                change(schema)
                body = json.dumps(schema).encode()
            new.writestr(entry.filename, body)
    return out.getvalue()


def test_a_model_read_back_answers_the_same(data):
    fitted, read = fit_encoder(ROWS), load_model(data, "x")
    inputs = [{"text": "cherry pie"}, {"text": "blue sky"}, {"text": ""}]
    for one, other in zip(fitted.predict(inputs), read.predict(inputs), strict=True):
        assert one.output == other.output
        assert one.probabilities["colour"] == pytest.approx(other.probabilities["colour"])


def test_a_constant_model_is_read_back_too():
    constant = fit_encoder([Row("a", {"colour": {'"red"': 1.0}})])
    assert load_model(dump_model(constant), "x").predict([{"text": "b"}])[0].output == {"colour": "red"}


class Bomb:
    def __reduce__(self):
        return (Path("bombed").touch, ())


def test_a_pickle_is_never_read():
    for body in (pickle.dumps(Bomb()), pickle.dumps({"words": None}), b"", b"not an archive"):
        with pytest.raises(UsageError, match=r"x\.skops is no classifier of skillforge"):
            load_model(body, "x.skops")
    assert not Path("bombed").exists()


def test_a_pickled_array_in_the_archive_is_refused(data):
    bomb = io.BytesIO()
    np.save(bomb, np.array([Bomb()], dtype=object), allow_pickle=True)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, bomb.getvalue() if entry.filename.endswith(".npy") else old.read(entry))
    with pytest.raises(UsageError, match="no classifier"):
        load_model(out.getvalue(), "x")
    assert not Path("bombed").exists()


@pytest.mark.parametrize(
    "node",
    [
        {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": {}},
        {"__class__": "methodcaller", "__module__": "operator", "__loader__": "OperatorFuncNode", "attrs": ["x"]},
        {"__class__": "Bomb", "__module__": "test_encoder_model", "__loader__": "ObjectNode", "content": {}},
        {"__class__": "LogisticRegression", "__module__": "sklearn.linear_model._logistic", "__loader__": "ObjectNode"},
        {"__class__": "TfidfVectorizer", "__module__": "sklearn.feature_extraction.text", "__loader__": "MethodNode"},
        {"__class__": "str", "__module__": "builtins", "__loader__": "ReduceNode"},
        {"__loader__": "JsonNode"},
    ],
)
def test_a_type_that_no_classifier_has_is_refused_before_anything_is_made(data, node):
    def plant(schema):
        schema["content"]["words"] = node

    with pytest.raises(UsageError, match="which no classifier has"):
        load_model(changed(data, plant), "x")


def test_what_skops_alone_would_trust_is_not_enough():
    other = Pipeline([("words", TfidfVectorizer()), ("lr", LogisticRegression())])
    other.fit(["one two", "three four"], ["x", "y"])
    body = skops.io.dumps(other)
    skops.io.loads(body)
    with pytest.raises(UsageError, match="which no classifier has"):
        load_model(body, "x")


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {"words": None},
        {"words": None, "pieces": None, "fields": {}, "probe": None},
        {"words": None, "pieces": None, "fields": {"colour": "red"}, "probe": None},
        {"words": TfidfVectorizer(token_pattern="(a+)+$"), "pieces": None, "fields": {}, "probe": None},
    ],
)
def test_parts_that_fit_did_not_make_are_refused(tree):
    with pytest.raises(UsageError, match="no classifier of skillforge"):
        load_model(skops.io.dumps(tree), "x")


def test_weights_that_do_not_fit_each_other_are_refused():
    fitted = fit_encoder(ROWS)
    svm = fitted.fields["colour"].calibrated_classifiers_[0].estimator
    svm.coef_ = svm.coef_[:, :-1]
    with pytest.raises(UsageError, match="no classifier"):
        load_model(dump_model(fitted), "x")


def test_probabilities_that_are_none_are_refused():
    fitted = fit_encoder(ROWS)
    svm = fitted.fields["colour"].calibrated_classifiers_[0].estimator
    svm.coef_ = svm.coef_ * np.float32("nan")
    with pytest.raises(UsageError, match="no classifier"):
        load_model(dump_model(fitted), "x")


def test_a_file_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(model, "_MAX_UNPACKED", 20 * 1_048_576)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
        for number in range(3):
            with bomb.open(f"{number}.npy", "w", force_zip64=True) as entry:
                for _ in range(8):
                    entry.write(bytes(1_048_576))
    assert len(out.getvalue()) < 200_000
    with pytest.raises(UsageError, match="unpacks to more"):
        load_model(out.getvalue(), "x")


def test_a_file_that_is_too_large_is_refused():
    with pytest.raises(UsageError, match="larger than"):
        load_model(bytes(MAX_BYTES + 1), "x")


def test_a_schema_of_endless_depth_is_refused():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as deep:
        deep.writestr("schema.json", "[" * 200_000)
    with pytest.raises(UsageError, match="no classifier"):
        load_model(out.getvalue(), "x")


def test_without_the_packages_the_command_that_installs_them_is_told(monkeypatch, data):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(MissingPackage) as refused:
        load_model(data, "x")
    assert "skillforge-distiller[encoder]" in refused.value.hint


@pytest.fixture
def embedding(monkeypatch):
    """A package ``model2vec`` that counts letters."""
    asked: list[str] = []

    class StaticModel:
        def __init__(self, letters: str) -> None:
            self.letters = letters

        @classmethod
        def from_pretrained(cls, name: str):
            if name == "nobody/nothing":
                raise OSError("no such weights")
            return cls("abcdefghij" if name == "other/letters" else "aeiouxyzcs")

        def encode(self, texts):
            asked.extend(texts)
            return np.array([[text.count(letter) for letter in self.letters] for text in texts])

    module = types.ModuleType("model2vec")
    module.StaticModel = StaticModel
    monkeypatch.setitem(sys.modules, "model2vec", module)
    return asked


def test_an_embedding_adds_its_columns_and_is_checked_when_the_model_is_read(embedding):
    backend = open_backend("model2vec")
    assert backend is not None
    assert backend.name == "model2vec:minishlab/potion-base-8M"
    plain, more = fit_encoder(ROWS), fit_encoder(ROWS, backend)
    width = [each.fields["colour"].calibrated_classifiers_[0].estimator.coef_.shape[1] for each in (plain, more)]
    assert width[1] == width[0] + 10
    body = dump_model(more)
    assert load_model(body, "x", backend).predict([{"text": "cherry"}])[0].output == {"colour": "red"}
    with pytest.raises(UsageError, match="another one than it was fitted with"):
        load_model(body, "x", open_backend("model2vec:other/letters"))
    with pytest.raises(UsageError, match="another backend"):
        load_model(body, "x")


def test_an_embedding_of_an_empty_text_has_no_direction(embedding):
    backend = open_backend("model2vec")
    assert backend is not None
    assert np.abs(backend.embed([""])).sum() == 0
    assert np.linalg.norm(backend.embed(["cherry"])) == pytest.approx(1)


def test_cross_validation_embeds_each_text_once(embedding):
    from skillforge.students.encoder.fit import cross_validate

    cross_validate(ROWS, open_backend("model2vec"))
    assert sorted(embedding) == sorted(row.text for row in ROWS)


@pytest.mark.parametrize("name", ["nothing", "tfidf:x/y", "model2vec:/etc/passwd", "model2vec:../x", "model2vec:x", ""])
def test_a_backend_that_there_is_not_is_refused(name):
    with pytest.raises(UsageError, match="no backend"):
        open_backend(name)


def test_weights_that_cannot_be_had_are_told(embedding):
    with pytest.raises(UsageError, match="no such weights"):
        open_backend("model2vec:nobody/nothing")


def test_a_backend_whose_package_is_missing_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingPackage) as refused:
        open_backend("sentence-transformers")
    assert refused.value.hint == "pip install sentence-transformers"
