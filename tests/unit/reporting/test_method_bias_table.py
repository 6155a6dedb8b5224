"""The table of the bias of methods, from the files of the meta-objective's optima."""

from pathlib import Path

import stored

from metalqr import results
from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import to_markdown

TABLE = tables.get("method_bias")()


def test_a_row_for_each_gain_and_method(tmp_path: Path) -> None:
    stored.save_meta_optimum(tmp_path / "one.nc")
    frame = TABLE.make({"one/0.01": results.load_meta_optimum(tmp_path / "one.nc")})
    assert len(frame) == 10
    assert frame.iloc[1].to_dict() == {
        "case": "one", "adaptation_rate": 0.01, "gain": "K0", "method": "first_order_maml", "bias": 0.2, "cosine": 0.95,
    }  # fmt: skip
    lines = to_markdown(frame, TABLE.columns).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[3] == ["one", "0.01", "K_0", "`reptile`, s = 5", "–", "–"]
    assert cells[5] == ["one", "0.01", "best single gain", "`mean_cost`", "0.300", "-0.100"]
