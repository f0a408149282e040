"""FLOPs, bytes, loops and source lines of small programs that the CPU's compiler has made."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxpose.chips import hlo_cost
from jaxpose.chips.hlo_bytes import ByteCounter
from jaxpose.chips.hlo_flops import flops
from jaxpose.chips.hlo_text import arrays, read_program


def compiled(function, *shapes, dtype=jnp.float32):
    """The program of a function on one CPU device, and XLA's own count of its FLOPs."""
    made = jax.jit(function).lower(*(jax.ShapeDtypeStruct(s, dtype) for s in shapes)).compile()
    return read_program(made.as_text()), made.cost_analysis()["flops"]


def total_flops(program):
    return sum(one.flops for one in hlo_cost.work(program))


def total_bytes(program):
    return sum(one.bytes for one in hlo_cost.work(program))


def test_arrays_have_the_size_of_their_tiles_and_a_memory():
    (plain,) = arrays("f32[4,6]{1,0}")
    assert (plain.shape, plain.bytes, plain.main) == ((4, 6), 96, True)
    # 3 channels of a byte take the 128 lanes of a tile; 49152 rows fill theirs.
    (image,) = arrays("u8[2,49152,3]{2,1,0:T(8,128)(4,1)}")
    assert image.bytes == 2 * 49152 * 128 and image.size == 2 * 49152 * 3
    # The first axis varies fastest here, so it is the padded one.
    (turned,) = arrays("bf16[100,16]{0,1:T(8,128)(2,1)S(1)}")
    assert turned.bytes == 128 * 16 * 2 and not turned.main
    pair = arrays("(s32[]{:T(128)}, /*index=1*/pred[5]{0})")
    assert [one.bytes for one in pair] == [4, 5]


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda a, b: a @ b, ((96, 64), (64, 80)), 2 * 96 * 64 * 80),
        (lambda a, b: jnp.einsum("bij,bkj->bik", a, b), ((4, 16, 32), (4, 24, 32)), 98304),
        # Two values of 9 taps at the corners, 3 at the edges' ends and so on are padding.
        (
            lambda x, k: jax.lax.conv_general_dilated(
                x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            ),
            ((2, 8, 8, 4), (3, 3, 4, 6)),
            2 * 2 * 4 * 6 * (3 * 8 - 2) ** 2,
        ),
        # The zeros between the rows of an enlarged input do not count.
        (
            lambda x, k: jax.lax.conv_transpose(x, k, (2, 2), "VALID"),
            ((1, 8, 8, 4), (2, 2, 4, 4)),
            2 * 64 * 4 * 4 * 4,
        ),
    ],
)
def test_flops_of_multiplications(function, shapes, expected):
    program, _ = compiled(function, *shapes)
    assert total_flops(program) == expected


def test_flops_are_those_of_xla_where_it_counts_multiplications_alone():
    program, by_xla = compiled(lambda a, b: a @ b, (128, 256), (256, 64))
    assert total_flops(program) == pytest.approx(by_xla, rel=1e-6)


def layers(unrolled):
    def run(x, kernels):
        def layer(x, kernel):
            return jnp.tanh(x @ kernel), None

        if unrolled:
            for i in range(len(kernels)):
                x, _ = layer(x, kernels[i])
            return x
        return jax.lax.scan(layer, x, kernels)[0]

    return run


def test_a_loop_costs_what_its_unrolled_program_costs():
    shapes = ((256, 128), (24, 128, 128))
    looped, by_xla = compiled(layers(unrolled=False), *shapes)
    unrolled, _ = compiled(layers(unrolled=True), *shapes)
    (loop,) = hlo_cost.loops(looped)
    assert loop[1:] == (1, 24) and not hlo_cost.loops(unrolled)
    assert total_flops(looped) == pytest.approx(total_flops(unrolled), rel=0.02)
    assert total_bytes(looped) == pytest.approx(total_bytes(unrolled), rel=0.02)
    # XLA counts the body once, which is why this module exists.
    assert by_xla < 0.2 * total_flops(looped)


def test_loops_in_loops_multiply():
    def run(x):
        def inner(_, x):
            return jnp.tanh(x @ x)

        return jax.lax.fori_loop(0, 5, lambda _, x: jax.lax.fori_loop(0, 3, inner, x), x)

    program, _ = compiled(run, (64, 64))
    assert total_flops(program) == 15 * 2 * 64**3


COUNTED = """\
HloModule counted, num_partitions=4

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[], f32[8]) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[8]{0} get-tuple-element(%p), index=1
  %one = s32[] constant(1)
  %next = s32[] add(%i, %one)
  %y = f32[8]{0} negate(%x)
  ROOT %t = (s32[], f32[8]) tuple(%next, %y)
}

%condition (p.1: (s32[], f32[8])) -> pred[] {
  %p.1 = (s32[], f32[8]) parameter(0)
  %i.1 = s32[] get-tuple-element(%p.1), index=0
  %limit = s32[] constant(7)
  ROOT %less = pred[] compare(%i.1, %limit), direction=LT
}

ENTRY %main (x.1: f32[8]) -> f32[8] {
  %x.1 = f32[8]{0} parameter(0)
  %zero = s32[] constant(0)
  %start = (s32[], f32[8]) tuple(%zero, %x.1)
  %loop = (s32[], f32[8]) while(%start), condition=%condition, body=%body
  %all = f32[32]{0} all-gather(%x.1), replica_groups=mesh['a'=2,'b'=2] {'b'}, dimensions={0}
  ROOT %r = f32[8]{0} get-tuple-element(%loop), index=1
}
"""


def test_rounds_are_counted_where_xla_has_not_written_them():
    program = read_program(COUNTED)
    ((_, times, rounds),) = hlo_cost.loops(program)
    assert (times, rounds) == (1, 7)
    negations = [one for one in hlo_cost.work(program) if one.instruction.opcode == "negate"]
    assert [one.bytes for one in negations] == [7 * (32 + 32)]
    unknown = read_program(COUNTED.replace("direction=LT", "direction=NE"))
    assert [rounds for *_, rounds in hlo_cost.loops(unknown)] == [None]


def test_groups_of_a_named_mesh():
    assert hlo_cost.traffic(read_program(COUNTED))["all-gather"].sent == 32 * 4 // 2


def test_a_slice_reads_its_part_alone():
    def run(x, i):
        return jax.lax.dynamic_slice(x, (i[0].astype(int), 0), (2, 256)) * 2.0

    program, _ = compiled(run, (4096, 256), (1,))
    part = 2 * 256 * 4
    assert total_bytes(program) < 4 * part < 4096 * 256 * 4


def test_an_update_in_place_writes_its_part_alone():
    text = """\
HloModule update

%fused (a: f32[1024,8], b: f32[1,8], i: s32[]) -> f32[1024,8] {
  %a = f32[1024,8]{1,0} parameter(0)
  %b = f32[1,8]{1,0} parameter(1)
  %i = s32[] parameter(2)
  %zero = s32[] constant(0)
  ROOT %u = f32[1024,8]{1,0} dynamic-update-slice(%a, %b, %i, %zero)
}

ENTRY %main (a.1: f32[1024,8], b.1: f32[1,8], i.1: s32[]) -> f32[1024,8] {
  %a.1 = f32[1024,8]{1,0} parameter(0)
  %b.1 = f32[1,8]{1,0} parameter(1)
  %i.1 = s32[] parameter(2)
  ROOT %f = f32[1024,8]{1,0} fusion(%a.1, %b.1, %i.1), kind=kLoop, calls=%fused
}
"""
    program = read_program(text)
    (one,) = hlo_cost.work(program)
    assert one.bytes == 32 + 32 + 4
    assert one.opcodes["dynamic-update-slice"] == 1


def test_memory_inside_the_chip_costs_nothing_but_its_copies():
    text = """\
HloModule copies

ENTRY %main (a: f32[1024]) -> f32[1024] {
  %a = f32[1024]{0:T(1024)} parameter(0)
  %c = (f32[1024]{0:T(1024)S(1)}, f32[1024]{0:T(1024)}, u32[]{:S(2)}) copy-start(%a)
  %d = f32[1024]{0:T(1024)S(1)} copy-done(%c)
  %s = (f32[1024]{0:T(1024)}, f32[256]{0:T(256)S(1)}, u32[]{:S(2)}) slice-start(%a), slice={[0:256]}
  %e = f32[256]{0:T(256)S(1)} slice-done(%s)
  %n = f32[1024]{0:T(1024)S(1)} negate(%d)
  ROOT %m = f32[1024]{0:T(1024)} add(%n, %n)
}
"""
    moved = {one.instruction.name: one.bytes for one in hlo_cost.work(read_program(text))}
    assert moved == {"c": 4096, "s": 1024, "n": 0, "m": 4096}


LIBRARY = """\
HloModule library

ENTRY %main (a: bf16[64,32], b: bf16[32,16], x: bf16[2,8,8,4], k: bf16[6,3,3,4]) -> bf16[64,16] {
  %a = bf16[64,32]{1,0} parameter(0)
  %b = bf16[32,16]{1,0} parameter(1)
  %x = bf16[2,8,8,4]{3,2,1,0} parameter(2)
  %k = bf16[6,3,3,4]{3,2,1,0} parameter(3)
  %g = (bf16[64,16]{1,0}, s8[33554432]{0}) custom-call(%a, %b), \
custom_call_target="__cublas$lt$matmul", backend_config={"gemm_backend_config":\
{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"]}}}
  %c = (bf16[2,8,8,6]{3,2,1,0}, u8[0]{0}) custom-call(%x, %k), window={size=3x3 pad=1_1x1_1}, \
dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convForward"
  %y = bf16[2,8,8,6]{3,2,1,0} get-tuple-element(%c), index=0
  %w = (bf16[6,3,3,4]{3,2,1,0}, u8[0]{0}) custom-call(%x, %y), window={size=3x3 pad=1_1x1_1}, \
dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convBackwardFilter"
  %v = (bf16[2,8,8,4]{3,2,1,0}, u8[0]{0}) custom-call(%y, %k), window={size=3x3 pad=1_1x1_1}, \
dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convBackwardInput"
  ROOT %r = bf16[64,16]{1,0} get-tuple-element(%g), index=0
}
"""


def test_calls_of_gpu_libraries_count_as_what_they_compute():
    program = read_program(LIBRARY)
    main = program.computations["main"]
    convolution = 2 * (2 * 8 * 8 * 6) * (3 * 3 * 4)
    found = {name: flops(main[name], main) for name in "gcwv"}
    assert found == {"g": 2 * 64 * 32 * 16, "c": convolution, "w": convolution, "v": convolution}
    # Room that a library works in is no traffic.
    counter = ByteCounter(program)
    assert counter.moved(main["g"], main) == 2 * (64 * 32 + 32 * 16 + 64 * 16)


FLASH = """\
HloModule flash

ENTRY %main (q: bf16[2,4,256,64]) -> bf16[2,4,256,64] {
  %q = bf16[2,4,256,64]{3,2,1,0} parameter(0)
  %flash_mha_bwd_dkv_block_q_256.1 = (bf16[2,4,256,64]{3,2,1,0}, bf16[2,4,256,64]{3,2,1,0}) \
custom-call(%q), custom_call_target="tpu_custom_call"
  ROOT %flash_mha_bwd_dq_block_q_256.2 = bf16[2,4,256,64]{3,2,1,0} custom-call(%q), \
custom_call_target="tpu_custom_call"
}
"""


def test_the_backward_kernels_of_flash_attention_count_their_products():
    main = read_program(FLASH).computations["main"]
    product = 2 * 2 * 4 * 256 * 256 * 64
    assert flops(main["flash_mha_bwd_dq_block_q_256.2"], main) == 3 * product
    assert flops(main["flash_mha_bwd_dkv_block_q_256.1"], main) == 4 * product


def test_operations_name_the_line_that_asks_for_them():
    def run(a, b):
        with jax.named_scope("optimizer"):
            return jnp.tanh(a @ b)  # this line

    program, _ = compiled(run, (64, 64), (64, 64))
    places = [one for one in hlo_cost.work(program) if one.flops]
    assert places and all("optimizer" in one.op_name for one in places)
    source = Path(__file__).read_text().splitlines()
    assert all("# this line" in source[one.place.line - 1] for one in places)
    assert sum(one.flops for one in places) == 2 * 64**3
