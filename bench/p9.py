"""P9: the tests of all pairs of a board, of right and wrong answers and of graded ones.

Runs `matrix`, which has the server's own statistics compiled in, and compares the processor time that ranking by all pairs
takes with that of the plain z-tests of the same pairs in the same process. Nothing is cached: each time is that of a board
that nobody asked for before, as one with other weights.
"""

import subprocess
from dataclasses import dataclass

from rig import arguments, conditions, processor_times, report, stolen, table, verdict

AT_MOST = 1.0


@dataclass
class Board:
    """A line of `matrix`."""

    name: str
    models: int
    evals: int
    items: int
    plain: float
    tested: float

    def row(self) -> list[str]:
        """Of the table; a z-test of few items takes less than the clock can tell."""
        size = f"{self.models} x {self.evals} x {self.items}"
        ratio = f"{self.tested / self.plain:.1f}" if self.plain > 0.001 else "-"
        goal = verdict(self.tested, AT_MOST, at_most=True)
        return [self.name, size, f"{self.tested:.3f}", f"{self.plain:.3f}", ratio, goal]


def main() -> None:
    """Run the benchmark."""
    args = arguments(__doc__, models=(200, "models"), rounds=(3, "times each, of which the least counts"))
    if args.smoke:
        args.models, args.rounds = 5, 1
    about, times = conditions(args), processor_times()
    command = [args.bins / "matrix", str(args.models), str(args.rounds)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    boards = []
    for line in lines:
        name, models, evals, items, plain, tested = line.split("\t")
        boards.append(Board(name, int(models), int(evals), int(items), float(plain), float(tested)))
    head = ["board", "models x evals x items", "tests, CPU s", "z-tests, CPU s", "ratio", "goal"]
    text = f"""## P9: the tests of all pairs of a board

{about}
{stolen(times)}
- Tests: p-values of all pairs, Holm's correction, ranges. z-tests: one pass over the differences of each pair

{table(head, [board.row() for board in boards])}"""
    report(args, "P9", text)


if __name__ == "__main__":
    main()
