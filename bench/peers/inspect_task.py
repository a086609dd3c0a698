"""The cases for inspect_ai: an exact match of one answer to one question.

Fair to it: the prompt is put together when the file is read instead of by a solver, whose events
would be logged as well; the scorer is its own.
"""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample, csv_dataset
from inspect_ai.scorer import exact


def sample(row: dict) -> Sample:
    """One line of cases.csv."""
    return Sample(input=f"Answer: {row['input']}", target=row["target"])


@task
def bench() -> Task:
    """All of cases.csv; without a solver, inspect_ai asks the model once."""
    return Task(dataset=csv_dataset("cases.csv", sample), scorer=exact())
