"""No better for a while: what early stopping and a rate that falls on a plateau look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import Refused
from .settings import EarlyStop, Plateau

# Measures of which more is better; of a loss and all others less is.
MORE_IS_BETTER = frozenset({"accuracy", "auroc", "bleu", "f1", "r2"})


@dataclass(frozen=True)
class Patience:
    """The best value so far, the step `at` which it was measured, and how many validations in a row were no better."""

    best: float | None = None
    waited: int = 0
    at: int | None = None

    def after(self, rule: EarlyStop | Plateau, validation: Mapping[str, float | None], step: int) -> Patience:
        """The state after one more validation, that of `step`; what is not finite (None) is never better.

        Raises Refused where there is no measure of the rule's name.
        """
        name = rule.on.removeprefix("validation.")
        if name not in validation:
            known = ", ".join(f"validation.{one}" for one in validation)
            raise Refused(f"the recipe looks at {rule.on}, which is not measured", f"There are: {known}.")
        value = validation[name]
        more = not MORE_IS_BETTER.isdisjoint(name.split("_"))
        if value is not None and (self.best is None or (value > self.best if more else value < self.best)):
            return Patience(value, 0, step)
        return Patience(self.best, self.waited + 1, self.at)
