"""Events of JAX's compiler reach a block's listener, and no longer once the block has ended."""

import jax
import jax.monitoring
import jax.numpy as jnp
import pytest

from jaxpose import jax_versions


@pytest.mark.parametrize(
    ("block", "record"),
    [
        (jax_versions.events, lambda name: jax.monitoring.record_event(name)),
        (jax_versions.durations, lambda name: jax.monitoring.record_event_duration_secs(name, 1.0)),
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
    with jax_versions.durations(names.append):
        jax.jit(lambda x: x * 3 + 1).lower(1.0).compile()
    assert "/jax/core/compile/backend_compile_duration" in names


def test_an_operation_is_applied_to_other_operands_functions_inside_it_included():
    @jax.custom_jvp
    def twice(x):
        return 2 * x

    twice.defjvp(lambda primals, tangents: (twice(*primals), 2 * tangents[0]))
    body = jax.make_jaxpr(lambda x: twice(x))(1.0).jaxpr
    (equation,) = body.eqns
    assert [float(y) for y in jax_versions.bind(equation, [5.0])] == [10.0]
    assert len(list(jax_versions.inner_jaxprs(equation.params))) == 1


def test_of_platforms_the_default_is_inner():
    def function(x):
        return jax.lax.platform_dependent(x, tpu=lambda x: x @ x, default=lambda x: x + 1)

    *_, equation = jax.make_jaxpr(function)(jnp.ones((2, 2))).jaxpr.eqns
    (inner,) = jax_versions.inner_jaxprs(equation.params)
    assert [e.primitive.name for e in inner.eqns] == ["add"]


def test_bodies_and_branches_are_inner_jaxprs():
    def function(x):
        x = jax.lax.fori_loop(0, 3, lambda i, x: x + 1, x)
        return jax.lax.cond(x > 0, lambda x: x, lambda x: -x, x)

    equations = jax.make_jaxpr(function)(1.0).jaxpr.eqns
    counts = {e.primitive.name: len(list(jax_versions.inner_jaxprs(e.params))) for e in equations}
    assert (counts["scan"], counts["cond"], counts["gt"]) == (1, 2, 0)
