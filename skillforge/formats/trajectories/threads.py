"""The conversation that counts in a session's tree: coding agents keep what was taken back beside what followed.

Every record names the one before it. Where a person went back and asked something else, one record has two that
follow; the thread is the one that the session ended in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A record in the tree. ``answer`` is the id of the model's answer it is a piece of (several records may be pieces
    of one), ``calls`` and ``results`` are ids of tool calls made and answered in it. ``said`` is false for records that
    only stand in the chain.
    """

    id: str
    parent: str
    said: bool = True
    answer: str = ""
    calls: frozenset[str] = frozenset()
    results: frozenset[str] = frozenset()


def main_thread(nodes: Sequence[Node]) -> set[int]:
    """Places of the nodes that belong to the conversation, of every tree among them.

    A tree's thread leads from its root to the last thing said in it. Beside it belong the other pieces of an answer on
    the thread, and the results of calls on it: calls that ran at the same time hang on one another.
    """
    parents = _parents(nodes)
    path = _paths(nodes, parents)
    answers = {nodes[place].answer for place in path if nodes[place].answer}
    calls: set[str] = set()
    for place, node in enumerate(nodes):
        if place in path or node.answer in answers:
            calls |= node.calls
    taken_back: set[int] = set()
    for place, node in enumerate(nodes):
        parent = parents[place]
        piece = node.answer in answers or (bool(node.results) and node.results <= calls)
        if parent in taken_back or (parent in path and place not in path and not piece):
            taken_back.add(place)
    return {place for place, node in enumerate(nodes) if node.said and place not in taken_back}


def _parents(nodes: Sequence[Node]) -> list[int]:
    """The place of every node's parent, -1 where it has none. One that comes later is none: that would be a ring."""
    places: dict[str, int] = {}
    parents = []
    for place, node in enumerate(nodes):
        parents.append(places.get(node.parent, -1) if node.parent else -1)
        if node.id:
            places.setdefault(node.id, place)
    return parents


def _paths(nodes: Sequence[Node], parents: Sequence[int]) -> set[int]:
    """The way up from the last thing that was said, of every tree."""
    roots: list[int] = []
    for place, parent in enumerate(parents):
        roots.append(place if parent == -1 else roots[parent])
    ends = {roots[place]: place for place, node in enumerate(nodes) if node.said}
    path: set[int] = set()
    for end in ends.values():
        while end != -1 and end not in path:
            path.add(end)
            end = parents[end]
    return path
