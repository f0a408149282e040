"""Collectives as a TPU compiler writes them: in pieces, and sums of which a device keeps a part."""

from jaxpose.chips import hlo_cost
from jaxpose.chips.hlo_bytes import ByteCounter
from jaxpose.chips.hlo_cost import Traffic, traffic
from jaxpose.chips.hlo_text import read_program

# A weight of four parts is gathered while `x` and `w` are multiplied; a gradient of 64 x 32 is
# summed, and each device keeps 16 rows of the sum. The layouts are those of a v5e without tiles.
PROGRAM = """\
HloModule jit_step, num_partitions=4

%add (a: bf16[], b: bf16[]) -> bf16[] {
  %a = bf16[] parameter(0)
}

%start (p: bf16[8,32]) -> (bf16[8,32], bf16[32,32], u32[]) {
  %p = bf16[8,32]{1,0} parameter(0)
  %ag1 = bf16[32,32]{1,0} all-gather(%p), channel_id=5, replica_groups={{0,1,2,3}}, dimensions={0}
  ROOT %c1 = (bf16[8,32]{1,0}, bf16[32,32]{1,0}, u32[]{:S(2)}) custom-call(%ag1), \
custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.1 (p0: bf16[8,32], p1: bf16[32,32], p2: u32[], x: bf16[64,16], \
w: bf16[16,128]) -> (bf16[64,128], bf16[8,32], bf16[32,32], bf16[32,32], u32[]) {
  %p0 = bf16[8,32]{1,0} parameter(0)
  %p1 = bf16[32,32]{1,0} parameter(1)
  %p2 = u32[]{:S(2)} parameter(2)
  %x = bf16[64,16]{1,0} parameter(3)
  %w = bf16[16,128]{1,0} parameter(4)
  %dot = bf16[64,128]{1,0} dot(%x, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %ag2 = bf16[32,32]{1,0} all-gather(%p0), channel_id=5, replica_groups={{0,1,2,3}}, dimensions={0}
  ROOT %t = (bf16[64,128]{1,0}, bf16[8,32]{1,0}, bf16[32,32]{1,0}, bf16[32,32]{1,0}, \
u32[]{:S(2)}) tuple(%dot, %p0, %p1, %ag2, %p2)
}

%done (q0: bf16[8,32], q1: bf16[32,32], q2: u32[]) -> bf16[32,32] {
  %q0 = bf16[8,32]{1,0} parameter(0)
  %q1 = bf16[32,32]{1,0} parameter(1)
  %q2 = u32[]{:S(2)} parameter(2)
  %ag3 = bf16[32,32]{1,0} all-gather(%q0), channel_id=5, replica_groups={{0,1,2,3}}, dimensions={0}
  ROOT %c2 = bf16[32,32]{1,0} custom-call(%q0, %q1, %ag3, %q2), \
custom_call_target="AsyncCollectiveDone"
}

%all-reduce-scatter.1 (g: bf16[64,32]) -> bf16[16,32] {
  %g = bf16[64,32]{1,0} parameter(0)
  %ar = bf16[64,32]{1,0} all-reduce(%g), channel_id=7, replica_groups={{0,1,2,3}}, to_apply=%add
  %zero = s32[] constant(0)
  ROOT %part = bf16[16,32]{1,0} dynamic-slice(%ar, %zero, %zero), dynamic_slice_sizes={16,32}
}

ENTRY %main (weight: bf16[8,32], x: bf16[64,16], w: bf16[16,128], g: bf16[64,32]) -> bf16[16,32] {
  %weight = bf16[8,32]{1,0} parameter(0)
  %x.1 = bf16[64,16]{1,0} parameter(1)
  %w.1 = bf16[16,128]{1,0} parameter(2)
  %g.1 = bf16[64,32]{1,0} parameter(3)
  %s = (bf16[8,32]{1,0}, bf16[32,32]{1,0}, u32[]{:S(2)}) fusion(%weight), kind=kCustom, calls=%start
  %s0 = bf16[8,32]{1,0} get-tuple-element(%s), index=0
  %s1 = bf16[32,32]{1,0} get-tuple-element(%s), index=1
  %s2 = u32[]{:S(2)} get-tuple-element(%s), index=2
  MIDDLE
  %d = bf16[32,32]{1,0} fusion(%s0, %m1, %m2), kind=kCustom, calls=%done
  ROOT %r = bf16[16,32]{1,0} fusion(%g.1), kind=kCustom, calls=%all-reduce-scatter.1
}
"""
STEP = """\
%m = (bf16[64,128]{1,0}, bf16[8,32]{1,0}, bf16[32,32]{1,0}, bf16[32,32]{1,0}, u32[]{:S(2)}) \
fusion(%s0, %s1, %s2, %x.1, %w.1), kind=kOutput, calls=%async_collective_fusion.1
  %m1 = bf16[32,32]{1,0} get-tuple-element(%m), index=3
  %m2 = u32[]{:S(2)} get-tuple-element(%m), index=4"""
NOTHING = """\
%m1 = bf16[32,32]{1,0} get-tuple-element(%s), index=1
  %m2 = u32[]{:S(2)} get-tuple-element(%s), index=2"""
GATHERED, SUMMED = 32 * 32 * 2 * 3 // 4, 64 * 32 * 2 * 3 // 4


def test_the_pieces_of_a_gather_count_once():
    beside = PROGRAM.replace("MIDDLE", STEP)
    assert traffic(beside) == {
        "all-gather": Traffic(1, GATHERED, overlapped=1),
        "reduce-scatter": Traffic(1, SUMMED),
    }
    alone = PROGRAM.replace("MIDDLE", NOTHING)
    assert traffic(alone)["all-gather"] == Traffic(1, GATHERED)


def test_a_gather_beside_other_work_moves_its_arrays_once():
    program = read_program(PROGRAM.replace("MIDDLE", STEP))
    entry, counter = program.computations[program.entry], ByteCounter(program)
    moved = {name: counter.moved(entry[name], entry) for name in ("s", "m", "d", "r")}
    gather, product = 2 * (8 * 32 + 32 * 32), 2 * (64 * 16 + 16 * 128 + 64 * 128)
    assert moved == {"s": gather, "m": product, "d": 0, "r": 2 * (64 * 32 + 16 * 32)}
    (step,) = [one for one in hlo_cost.work(program) if one.instruction.name == "m"]
    assert step.flops == 2 * 64 * 16 * 128
