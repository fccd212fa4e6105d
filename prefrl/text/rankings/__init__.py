"""Rankings of texts as data: reading and writing the formats in use, splitting, and the baseline of length."""

from prefrl.text.rankings.agreement import OrderAgreement, order_agreement
from prefrl.text.rankings.formats import Format, OddRows, load_rankings
from prefrl.text.rankings.ranking import Demonstration, Pair, Ranking
from prefrl.text.rankings.rows import RankingFileError
from prefrl.text.rankings.scores import ranks_of_scores
from prefrl.text.rankings.split import length_baseline, length_matched, split_by_prompt
from prefrl.text.rankings.write import write_hh, write_k_wise, write_trl

__all__ = [
    "Demonstration",
    "Format",
    "OddRows",
    "OrderAgreement",
    "Pair",
    "Ranking",
    "RankingFileError",
    "length_baseline",
    "length_matched",
    "load_rankings",
    "order_agreement",
    "ranks_of_scores",
    "split_by_prompt",
    "write_hh",
    "write_k_wise",
    "write_trl",
]
