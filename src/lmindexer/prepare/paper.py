"""Tables 7 and 8 of the paper: how large its data sets are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AmazonCounts:
    """A row of Table 7. `pairs` are those to learn recommendation from, five drawn for each user."""

    items: int
    users: int
    pairs: int
    queries: tuple[int, int, int]  # train, dev, test
    labels: tuple[int, int, int]


@dataclass(frozen=True)
class SearchCounts:
    """A row of Table 8; queries and labels of train and test."""

    documents: int
    queries: tuple[int, int]
    labels: tuple[int, int]


TABLE_7 = {
    "beauty": AmazonCounts(12_101, 22_363, 111_815, (1_049, 150, 338), (1_907, 268, 582)),
    "sports": AmazonCounts(18_357, 35_598, 177_990, (1_299, 186, 443), (2_209, 311, 764)),
    "toys": AmazonCounts(11_924, 19_412, 97_060, (1_010, 145, 351), (1_653, 250, 594)),
}
TABLE_8 = {
    "nq320k": SearchCounts(109_739, (307_373, 7_830), (307_373, 7_830)),
    "msmarco": SearchCounts(1_000_000, (502_939, 6_980), (532_751, 7_437)),
    "trec-dl": SearchCounts(1_000_000, (502_939, 93), (532_751, 1_069)),
}
PAIRS = 5  # drawn for each user

AMAZON_NAMES = {"beauty": "Beauty", "sports": "Sports_and_Outdoors", "toys": "Toys_and_Games"}  # as Amazon's files


def amazon_counts(name: str) -> AmazonCounts | None:
    """The row of an Amazon category by its short or its full name, whatever the case; None where there is none."""
    for short, full in AMAZON_NAMES.items():
        if name.lower() in (short, full.lower()):
            return TABLE_7[short]
    return None
