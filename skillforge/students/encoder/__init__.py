"""Tiny classifiers as students: fitted on labelled cases, with calibrated probabilities."""
