"""Frames beside each frame of a video, for models that see several at once."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from jaxpose.pipeline.person_boxes import Located


def beside(
    located: Iterable[Located], times: Sequence[float]
) -> Iterator[tuple[Located, list[Located]]]:
    """Yields each frame with those at `times[1:]`, in frames after it, in this order.

    At the ends of a video the nearest frame that exists takes the place of a missing one. The list
    is empty for images, and for a model of one frame. Frames are held back until those after them
    are there.
    """
    steps = [round(time) for time in times[1:]]
    before, after = max(0, -min(steps, default=0)), max(0, max(steps, default=0))
    window: deque[Located] = deque()  # frames of one video, the earliest first
    done = 0  # frames of the window that were yielded

    def take(waiting: int) -> Iterator[tuple[Located, list[Located]]]:
        """Frames of the window up to the last `waiting`; drops those that no frame needs."""
        nonlocal done
        while done < len(window) - waiting:
            places = (min(max(done + step, 0), len(window) - 1) for step in steps)
            yield window[done], [window[place] for place in places]
            done += 1
            if done > before:
                window.popleft()
                done -= 1

    for one in located:
        alone = not steps or one.frame.seconds is None
        if window and (alone or window[-1].frame.source != one.frame.source):
            yield from take(0)
            window.clear()
            done = 0
        if alone:
            yield one, []
            continue
        window.append(one)
        yield from take(after)
    yield from take(0)
