"""Events of JAX's compiler reach a block's listener, and no longer once the block has ended."""

import jax
import jax.monitoring
import pytest

from jaxpose import jax_events


@pytest.mark.parametrize(
    ("block", "record"),
    [
        (jax_events.events, lambda name: jax.monitoring.record_event(name)),
        (jax_events.durations, lambda name: jax.monitoring.record_event_duration_secs(name, 1.0)),
    ],
)
def test_a_block_gets_its_events_and_no_later_ones(block, record):
    outer, inner = [], []
    with block(outer.append):
        record("/first")
        with block(inner.append):
            record("/second")
        record("/third")
    record("/fourth")
    assert outer == ["/first", "/second", "/third"] and inner == ["/second"]
    with pytest.raises(ZeroDivisionError), block(inner.append):
        raise ZeroDivisionError
    record("/fifth")
    assert inner == ["/second"]


def test_compiling_is_an_event_with_a_duration():
    names = []
    with jax_events.durations(names.append):
        jax.jit(lambda x: x * 3 + 1).lower(1.0).compile()
    assert "/jax/core/compile/backend_compile_duration" in names
