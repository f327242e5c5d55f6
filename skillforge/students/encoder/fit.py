"""Fitting: one linear SVM a label field, its scores calibrated to probabilities on data it was not fitted on.

Of more than two labels by one temperature for all (Guo et al. 2017), of two by Platt's sigmoid (Platt 1999). By
cross-validation on training rows: BANKING77 (77 labels) expected calibration error .024 by a temperature, .070 by a
sigmoid a label, accuracy the same; SMS spam (2 labels) .005 and .004, accuracy .985 and .988, since a sigmoid can move
the border. The scores come from cross-validation; then the SVM is fitted on all rows. Equal texts stay in one fold, so
that no row is judged by its twin. Tried and not better (BANKING77, accuracy to that of the SVM): logistic regression
-.010 and its mean with the SVM -.002, complement naive Bayes -.12, weights of naive Bayes (NB-SVM) -.011, Crammer and
Singer's loss -.003, balanced classes +.000, bagging -.005, labels as rows +.000, noisy rows left out -.002 to -.013, a
network on 300 latent dimensions -.010, kernels -.02.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.students.encoder.backends import Embedder, Remembering
from skillforge.students.encoder.features import fit_features
from skillforge.students.encoder.model import EncoderModel

Weights = Mapping[str, float]
"""Of the labels (as compact JSON) of one row and field; a plain label is ``{label: 1.0}``."""

OnFold = Callable[[int, int], None]

_STRENGTH = 0.7  # C of the SVM; by cross-validation on BANKING77 .35, .7 and 1.2 lie within .001
_NOTHING = 1e-3  # a weight; the scores are about 1 apart
_LEAST_WEIGHT = 0.02  # of a soft label: less is left out, it would cost a row for nothing


@dataclass(frozen=True)
class Row:
    """One training case: its text, and for every label field what it is labelled with."""

    text: str
    labels: Mapping[str, Weights]

    def label(self, field: str) -> str:
        """The label of the greatest weight."""
        weights = self.labels[field]
        return max(weights, key=lambda label: weights[label])


@dataclass(frozen=True)
class Judged:
    """What a model that had not seen the row said of one field: its label, the probability it gives it, and the
    probability before calibration.
    """

    label: str
    probability: float
    raw: float


def fit_encoder(rows: Sequence[Row], embedder: Embedder | None = None, *, folds: int | None = None) -> EncoderModel:
    """A classifier for every field of the rows. ``rows`` must not be empty.

    A label seen in one text alone cannot be calibrated on other texts: it stands in every fold. Where a field has one
    label, or all texts are the same, the answer is the share of the labels.
    """
    features, matrix = fit_features([row.text for row in rows], embedder)
    count = folds or folds_for(len(rows))
    fields = {field: _fit_field(rows, field, matrix, count) for field in rows[0].labels}
    return EncoderModel(features, fields)


def cross_validate(
    rows: Sequence[Row], embedder: Embedder | None = None, on_fold: OnFold = lambda done, total: None
) -> list[dict[str, Judged]]:
    """By row and field, what a model fitted and calibrated on the other folds says. Empty where there are fewer than
    two different texts.
    """
    if embedder is not None:
        embedder = Remembering(embedder)
    parts = fold_of([row.text for row in rows], [_joint(row) for row in rows], folds_for(len(rows)))
    total = len(set(parts))
    found: list[dict[str, Judged]] = [{} for _ in rows]
    if total < 2:
        return []
    for fold in range(total):
        inside = [row for row, part in zip(rows, parts, strict=True) if part != fold]
        outside = [number for number, part in enumerate(parts) if part == fold]
        model = fit_encoder(inside, embedder)
        for number, judged in zip(outside, _judge(model, [rows[at].text for at in outside]), strict=True):
            found[number] = judged
        on_fold(fold + 1, total)
    return found


def folds_for(rows: int) -> int:
    return 5 if rows <= 3000 else 3


def fold_of(texts: Sequence[str], labels: Sequence[str], count: int) -> list[int]:
    """The fold of every row: equal texts together, the texts of each label dealt out evenly, in the order of their
    hashes. There are at most as many folds as different texts.
    """
    by_label: dict[str, list[str]] = defaultdict(list)
    for text, votes in _votes(texts, labels).items():
        by_label[max(sorted(votes), key=lambda label: votes[label])].append(text)
    fold: dict[str, int] = {}
    for _, members in sorted(by_label.items()):
        for text in sorted(members, key=_hash):
            fold[text] = len(fold) % count
    return [fold[text] for text in texts]


def _votes(texts: Sequence[str], labels: Sequence[str]) -> dict[str, Counter[str]]:
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for text, label in zip(texts, labels, strict=True):
        votes[text][label] += 1
    return votes


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _joint(row: Row) -> str:
    return "\n".join(row.label(field) for field in row.labels)


def _fit_field(rows: Sequence[Row], field: str, matrix: Any, folds: int) -> Any:
    """Rows are repeated for each of their labels, with its weight."""
    import numpy as np
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.dummy import DummyClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    taken = [
        (number, label, weight)
        for number, row in enumerate(rows)
        for label, weight in row.labels[field].items()
        if weight >= _LEAST_WEIGHT or len(row.labels[field]) == 1
    ]
    numbers = [number for number, _, _ in taken]
    labels = [label for _, label, _ in taken]
    weights = [weight for _, _, weight in taken]
    texts = [rows[number].text for number in numbers]
    parts = fold_of(texts, [rows[number].label(field) for number in numbers], folds)
    if len(set(labels)) == 1 or len(set(parts)) == 1:
        constant = DummyClassifier(strategy="prior")
        return constant.fit(matrix[numbers], np.array(labels), sample_weight=weights)
    spread = _lonely(labels, parts)
    folds_there = sorted(set(parts))
    for at in spread:  # such a row stands once in every fold
        others = [fold for fold in folds_there if fold != parts[at]]
        numbers += [numbers[at]] * len(others)
        labels += [labels[at]] * len(others)
        weights += [weights[at] / len(folds_there)] * len(others)
        parts += others
        weights[at] /= len(folds_there)
    part = np.array(parts)
    splits = [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in folds_there]
    svm = LinearSVC(C=_STRENGTH, random_state=0)
    method = "temperature" if len(set(labels)) > 2 else "sigmoid"
    calibrated = CalibratedClassifierCV(svm, method=method, cv=splits, ensemble=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        calibrated.fit(matrix[numbers], np.array(labels), sample_weight=np.array(weights))
    calibrated.cv = None  # the splits are of the rows, and no part of the model
    _slim(calibrated.calibrated_classifiers_[0].estimator)
    return calibrated


def _slim(svm: Any) -> None:
    """Weights to three digits, and none for what weighs nothing: a third of the file's size."""
    import numpy as np

    rounded = svm.coef_.astype(np.float16).astype(np.float32)
    rounded[np.abs(rounded) < _NOTHING] = 0
    svm.coef_ = rounded


def _lonely(labels: Sequence[str], parts: Sequence[int]) -> list[int]:
    """The rows of labels that stand in one fold only: without them the rest of the folds would not know the label."""
    where: dict[str, set[int]] = defaultdict(set)
    for label, part in zip(labels, parts, strict=True):
        where[label].add(part)
    return [at for at, label in enumerate(labels) if len(where[label]) == 1]


def _judge(model: EncoderModel, texts: Sequence[str]) -> list[dict[str, Judged]]:
    """Labels with their probabilities, and those a plain softmax of the SVM's scores would give."""
    import numpy as np

    matrix = model.features.matrix(texts)
    found: list[dict[str, Judged]] = [{} for _ in texts]
    for field, fitted in model.fields.items():
        sure = fitted.predict_proba(matrix)
        best = sure.argmax(axis=1)
        raw = _uncalibrated(fitted, matrix)
        for number, (at, label) in enumerate(zip(best, np.asarray(fitted.classes_)[best], strict=True)):
            before = float(sure[number, at] if raw is None else raw[number].max())
            found[number][field] = Judged(str(label), float(sure[number, at]), before)
    return found


def _uncalibrated(fitted: Any, matrix: Any) -> Any:
    """Softmax over the scores; ``None`` for a constant answer."""
    import numpy as np
    from scipy.special import softmax

    if not hasattr(fitted, "calibrated_classifiers_"):
        return None
    scores = fitted.calibrated_classifiers_[0].estimator.decision_function(matrix)
    return softmax(np.column_stack([-scores / 2, scores / 2]) if scores.ndim == 1 else scores, axis=1)
