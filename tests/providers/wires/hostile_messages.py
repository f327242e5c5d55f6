"""Anything that a server could send where an answer of the messages API is expected."""

from __future__ import annotations

from hypothesis import strategies as st

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner, max_size=4)
    ),
    max_leaves=12,
)
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "tool_use", "thinking", "redacted_thinking"]) | JSON},
    optional={"text": JSON, "id": JSON, "name": JSON | st.text(min_size=1), "input": JSON, "data": JSON},
)
COUNTS = st.integers(-3, 9) | JSON
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "error"]) | JSON,
        "stop_reason": st.sampled_from(["end_turn", "tool_use", "refusal"]) | JSON,
        "content": st.lists(BLOCKS, max_size=4) | JSON,
        "model": JSON,
        "error": JSON,
        "usage": st.fixed_dictionaries(
            {},
            optional={
                "input_tokens": COUNTS,
                "output_tokens": COUNTS,
                "cache_read_input_tokens": COUNTS,
                "cache_creation_input_tokens": COUNTS,
                "output_tokens_details": st.dictionaries(st.just("thinking_tokens"), COUNTS) | JSON,
            },
        )
        | JSON,
    },
)
