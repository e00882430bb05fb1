"""What a training step does to memory, operation by operation: what each keeps, and which gradients it will make.

A tensor is one `Buffer` however often it is used; what is only seen otherwise (a view) is the same buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class Buffer:
    """A tensor of the forward pass: `count` entries of `width` bytes.

    `trained`: whether a gradient flows into it. `held`: whether it is there anyway, as weights are.
    """

    count: int
    width: int
    trained: bool = False
    held: bool = False

    @property
    def size(self) -> int:
        return self.count * self.width

    @property
    def bytes(self) -> int:
        """What it takes in the forward pass."""
        return 0 if self.held else self.size

    @property
    def gradient(self) -> int:
        """What its gradient takes."""
        return self.size if self.trained else 0


@dataclass(eq=False)
class Step:
    """One operation. `weights` are the trained tensors it uses, by key, with the bytes of their gradients.

    `passes`: the gradient of what goes out is that of what came in, unchanged and without memory of its own (`a + b`);
    `parts`: a part of it is (`concat`). `work` is what its backward pass makes for a while, `forward_work` what its
    forward pass does. `inside` are the steps that are computed once more before they go backward (`checkpoint`).
    """

    inputs: list[Buffer]
    outputs: list[Buffer]
    kept: list[Buffer] = field(default_factory=list)
    weights: dict[str, int] = field(default_factory=dict)
    passes: bool = False
    work: int = 0
    inside: list[Step] | None = None
    parts: bool = False
    forward_work: int = 0


@dataclass
class Peak:
    """The largest memory of a step, without what is there all the time (weights, the optimizer's state); `gradients`
    of that are gradients of weights."""

    total: int = 0
    gradients: int = 0
    activations: int = 0
    """The most that is no gradient of a weight, at whatever moment."""


def peak(steps: list[Step], *, gradients_there: int = 0) -> Peak:
    """Run the steps forward and backward. `gradients_there` are bytes of the gradients of weights that an earlier part
    of the batch has left: all there are, or none."""
    return _Run(gradients_there).run(steps)


class _Gradient:
    """A gradient's memory, which several values may share."""

    def __init__(self, size: int) -> None:
        self.size, self.users = size, 0


class _Run:
    def __init__(self, gradients_there: int) -> None:
        self.peak = Peak()
        self.left = bool(gradients_there)
        self.of_weights = gradients_there
        self.known: set[str] = set()
        self.kept: dict[Buffer, int] = {}
        self.alive = 0
        """Bytes of what is kept and of the gradients of values."""
        self.gradients: dict[Buffer, _Gradient] = {}

    def run(self, steps: list[Step]) -> Peak:
        self.forward(steps)
        if steps:
            for output in steps[-1].outputs:
                self.give(output, _Gradient(output.gradient))
        self.backward(steps)
        return self.peak

    def moment(self, besides: int) -> None:
        """Note how much there is now."""
        activations = self.alive + besides
        self.peak.activations = max(self.peak.activations, activations)
        if activations + self.of_weights > self.peak.total:
            self.peak.total, self.peak.gradients = activations + self.of_weights, self.of_weights

    # --- forward ---

    def forward(self, steps: list[Step]) -> None:
        for step in steps:
            self.keep(step.kept)
            passing = [b for b in (*step.inputs, *step.outputs) if b not in self.kept]
            self.moment(sum(b.bytes for b in dict.fromkeys(passing)) + step.forward_work)

    def keep(self, buffers: list[Buffer]) -> None:
        for buffer in buffers:
            if buffer not in self.kept:
                self.alive += buffer.bytes
            self.kept[buffer] = self.kept.get(buffer, 0) + 1

    def release(self, buffers: list[Buffer]) -> None:
        for buffer in buffers:
            self.kept[buffer] -= 1
            if not self.kept[buffer]:
                del self.kept[buffer]
                self.alive -= buffer.bytes

    # --- backward ---

    def backward(self, steps: list[Step]) -> None:
        for step in reversed(steps):
            arrived = any(output in self.gradients for output in step.outputs)
            if step.inside is not None and arrived:
                self.forward(step.inside)
                self.backward(step.inside)
            elif arrived:
                self.turn(step)
            for output in step.outputs:
                self.drop(output)
            self.release(step.kept)

    def turn(self, step: Step) -> None:
        """Make the gradients of what came in."""
        first = next(self.gradients[output] for output in step.outputs if output in self.gradients)
        trained = [b for b in dict.fromkeys(step.inputs) if b.gradient and b not in step.outputs]
        shared = [b for b in trained if step.parts or (step.passes and b.gradient == first.size)]
        made = {b: _Gradient(b.gradient) for b in trained if b not in shared}
        again = sum(size for key, size in step.weights.items() if self.left or key in self.known)
        for key, size in step.weights.items():
            if not self.left and key not in self.known:
                self.of_weights += size
                self.known.add(key)
        self.moment(sum(gradient.size for gradient in made.values()) + again + step.work)
        for buffer in trained:
            self.give(buffer, made.get(buffer, first))

    def give(self, buffer: Buffer, gradient: _Gradient) -> None:
        """Add to the gradient of a value. The sum goes where one of the two is that nothing else needs."""
        before = self.gradients.get(buffer)
        if before is None:
            self.gradients[buffer] = gradient
            self.use(gradient)
            return
        if before.users == 1:
            self.moment(0 if gradient.users else gradient.size)
            return
        if gradient.users:
            gradient = _Gradient(gradient.size)
        self.use(gradient)
        self.gradients[buffer] = gradient
        self.moment(0)
        self.unuse(before)

    def drop(self, buffer: Buffer) -> None:
        gradient = self.gradients.pop(buffer, None)
        if gradient is not None:
            self.unuse(gradient)

    def use(self, gradient: _Gradient) -> None:
        if not gradient.users:
            self.alive += gradient.size
        gradient.users += 1

    def unuse(self, gradient: _Gradient) -> None:
        gradient.users -= 1
        if not gradient.users:
            self.alive -= gradient.size
