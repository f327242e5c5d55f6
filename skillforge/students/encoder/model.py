"""The fitted classifier of a skill: predicts, and lives in a file that may come from anybody.

The file is a skops archive: a JSON tree of types and plain numpy arrays, no pickle. Of its types none is loaded but
those listed here, whatever skops itself would trust, and what is loaded must be what ``fit`` makes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from skillforge.errors import UsageError
from skillforge.students.encoder.backends import Embedder, import_or_say
from skillforge.students.encoder.features import Features, text_of, vectorizers

MAX_BYTES = 64 * 1_048_576  # of a model's file
_MAX_UNPACKED = 512 * 1_048_576
_MAX_ENTRIES = 20_000
INSTALL = "pip install 'skillforge-distiller[encoder]'"
_AT_ONCE = 1_000  # rows

# Not among what skops trusts by itself; everything else it trusts is narrowed to _TYPES.
TRUSTED = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
)
_TYPES = frozenset(
    {
        *TRUSTED,
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.dummy.DummyClassifier",
        "sklearn.feature_extraction.text.TfidfVectorizer",
        "sklearn.feature_extraction.text.TfidfTransformer",
        "sklearn.svm._classes.LinearSVC",
        "numpy.ndarray",
        "numpy.float32",
        "numpy.float64",
        "numpy.int64",
        "numpy.dtype",
        "builtins.dict",
        "builtins.list",
        "builtins.tuple",
        "builtins.str",
        "builtins.bool",
        "builtins.int",
        "builtins.float",
        "builtins.NoneType",
        "builtins.type",
        "collections.defaultdict",
    }
)
_LOADERS = frozenset(
    {
        "ObjectNode",
        "NdArrayNode",
        "DictNode",
        "ListNode",
        "TupleNode",
        "JsonNode",
        "CachedNode",
        "TypeNode",
        "DTypeNode",
    }
)


@dataclass(frozen=True)
class Prediction:
    """Labels and their probabilities by field; labels as compact JSON, most probable first."""

    probabilities: Mapping[str, Mapping[str, float]]

    @property
    def output(self) -> dict[str, Any]:
        return {field: json.loads(next(iter(told))) for field, told in self.probabilities.items()}


@dataclass(frozen=True)
class EncoderModel:
    """``fields`` are the fitted scikit-learn classifiers by output field; their classes are labels as compact JSON."""

    features: Features
    fields: Mapping[str, Any]

    def predict(self, inputs: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """The answers to many inputs (complete ones: defaults filled in). Empty and huge texts have one too."""
        found: list[Prediction] = []
        for start in range(0, len(inputs), _AT_ONCE):
            found += self._predict([text_of(each) for each in inputs[start : start + _AT_ONCE]])
        return found

    def labels(self, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The outputs alone, the quick way for many rows."""
        import numpy as np

        outputs: list[dict[str, Any]] = [{} for _ in inputs]
        for start in range(0, len(inputs), _AT_ONCE):
            matrix = self.features.matrix([text_of(each) for each in inputs[start : start + _AT_ONCE]])
            for field, fitted in self.fields.items():
                values = [json.loads(label) for label in fitted.classes_]
                for at, best in enumerate(np.asarray(fitted.predict_proba(matrix)).argmax(axis=1), start):
                    outputs[at][field] = values[best]
        return outputs

    def _predict(self, texts: Sequence[str]) -> list[Prediction]:
        import numpy as np

        matrix = self.features.matrix(texts)
        told: list[dict[str, dict[str, float]]] = [{} for _ in texts]
        for field, fitted in self.fields.items():
            labels = [str(label) for label in fitted.classes_]
            sure = np.asarray(fitted.predict_proba(matrix))
            for number, order in enumerate(np.argsort(-sure, axis=1, kind="stable")):
                told[number][field] = {labels[at]: float(sure[number, at]) for at in order}
        return [Prediction(each) for each in told]


def dump_model(model: EncoderModel) -> bytes:
    """The bytes of its file. Raises ``MissingPackage``, and ``UsageError`` where they are more than a file may have."""
    skops_io = import_or_say("skops.io", "skops", hint=INSTALL)
    embedder = model.features.embedder
    tree = {
        "words": model.features.words,
        "pieces": model.features.pieces,
        "fields": dict(model.fields),
        "probe": None if embedder is None else embedder.embed([_PROBE]),
    }
    data: bytes = skops_io.dumps(tree, compression=ZIP_DEFLATED)
    if len(data) > MAX_BYTES:
        raise UsageError(f"the classifier is {len(data):,} bytes, more than {MAX_BYTES:,}", hint="train on fewer texts")
    return data


_PROBE = "the quick brown fox jumps over the lazy dog"


def load_model(data: bytes, where: str, embedder: Embedder | None = None) -> EncoderModel:
    """The model in the bytes of a file. Whatever they hold, nothing but the listed types is made and no code is run.

    Raises ``UsageError`` naming ``where`` for anything else than what ``dump_model`` writes, ``MissingPackage``.
    """
    skops_io = import_or_say("skops.io", "skops", hint=INSTALL)
    import_or_say("sklearn", "scikit-learn", hint=INSTALL)
    try:
        _require_plain(data)
        tree = skops_io.loads(data, trusted=list(TRUSTED))
        model = _model_of(tree, embedder)
        _model_answers(model, tree.get("probe"))
    except _Hostile as exc:
        raise _refused(where, str(exc)) from exc
    except Exception as exc:  # hostile files fail in any way they like
        raise _refused(where, f"{type(exc).__name__}: {str(exc)[:200]}") from exc
    return model


class _Hostile(Exception):
    """What the file holds that no file of ours does."""


def _refused(where: str, why: str) -> UsageError:
    return UsageError(
        f"{where} is no classifier of skillforge: {why}", hint="restore it from git, or fit it again: skillforge train"
    )


def _require_plain(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise _Hostile(f"it is larger than {MAX_BYTES:,} bytes")
    try:
        archive = ZipFile(io.BytesIO(data))
    except BadZipFile as exc:
        raise _Hostile("it is no skops archive (a pickle is never read)") from exc
    with archive:
        entries = archive.infolist()
        if len(entries) > _MAX_ENTRIES or sum(entry.file_size for entry in entries) > _MAX_UNPACKED:
            raise _Hostile("it unpacks to more than a classifier has")
        for name, loader in _nodes(json.loads(archive.read("schema.json"))):
            if loader not in _LOADERS or name not in _TYPES:
                raise _Hostile(f"it holds {name[:100]!r} ({loader[:40]}), which no classifier has")


def _nodes(tree: Any) -> Iterator[tuple[str, str]]:
    """Type and loader of every node of a skops tree, wherever they stand in it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "__loader__" in node or "__class__" in node or "__module__" in node:
                yield f"{node.get('__module__')}.{node.get('__class__')}", str(node.get("__loader__"))
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _model_of(tree: Any, embedder: Embedder | None) -> EncoderModel:
    """The parts, each of the one type and with the settings that ``fit`` gives it."""
    if type(tree) is not dict or tree.keys() != {"words", "pieces", "fields", "probe"}:
        raise _Hostile("its parts are others")
    for given, ours in zip((tree["words"], tree["pieces"]), vectorizers(0), strict=True):
        if given is not None and (type(given) is not type(ours) or _settings(given) != _settings(ours)):
            raise _Hostile("its vectorizer has other settings")
    fields = tree["fields"]
    if type(fields) is not dict or not fields or not all(type(name) is str for name in fields):
        raise _Hostile("it has no fields")
    for fitted in fields.values():
        _require_ours(fitted)
    if (tree["probe"] is None) != (embedder is None):
        raise _Hostile("its card names another backend")
    return EncoderModel(Features(tree["words"], tree["pieces"], embedder), fields)


def _settings(vectorizer: Any) -> dict[str, Any]:
    return {name: value for name, value in vectorizer.get_params(deep=False).items() if name != "min_df"}


def _require_ours(fitted: Any) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.dummy import DummyClassifier
    from sklearn.svm import LinearSVC

    if type(fitted) is CalibratedClassifierCV:
        inner = fitted.calibrated_classifiers_
        if len(inner) != 1 or type(inner[0].estimator) is not LinearSVC:
            raise _Hostile("its calibration is of something else")
    elif type(fitted) is not DummyClassifier:
        raise _Hostile(f"a field is a {type(fitted).__name__}")
    for label in fitted.classes_:
        json.loads(str(label))


def _model_answers(model: EncoderModel, probe: Any) -> None:
    """One answer, with probabilities that are some; of an embedding the very one it was fitted with."""
    import numpy as np

    if model.features.embedder is not None and not np.allclose(
        model.features.embedder.embed([_PROBE]), probe, atol=1e-3
    ):
        raise _Hostile("the embedding model installed here is another one than it was fitted with")
    for told in model.predict([{"text": _PROBE}])[0].probabilities.values():
        if not told or not abs(sum(told.values()) - 1) < 1e-3:
            raise _Hostile("its probabilities are none")
