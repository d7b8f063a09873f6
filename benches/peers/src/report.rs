//! The table and the JSON lines.

use crate::harness::{Figures, Row};

pub(crate) const HEADING: &str = "\
| crate | what | median (min-max), ns | p10-p90 | total / baseline | allocations (bytes) | note |
|---|---|---|---|---|---|---|";

fn ns(figure: f64) -> String {
    match figure.abs() {
        large if large >= 10_000.0 => format!("{:.1} µs", figure / 1000.0),
        _ => format!("{figure:.0}"),
    }
}

pub(crate) fn markdown(row: &Row, figures: &Figures) -> String {
    format!(
        "| {} | {} | **{}** ({}-{}) | {}-{} | {} / {} | {:.2} ({:.0}) | {} |",
        row.of,
        row.what,
        ns(figures.median),
        ns(figures.min),
        ns(figures.max),
        ns(figures.p10),
        ns(figures.p90),
        ns(figures.total),
        ns(figures.base),
        figures.allocations,
        figures.bytes,
        row.note
    )
}

pub(crate) fn json(row: &Row, figures: &Figures) -> String {
    let Figures {
        median,
        min,
        p10,
        p90,
        max,
        total,
        base,
        allocations,
        bytes,
        batches,
        calls,
    } = figures;
    format!(
        r#"{{"crate":{:?},"what":{:?},"net_ns":{{"median":{median:.1},"min":{min:.1},"p10":{p10:.1},"p90":{p90:.1},"max":{max:.1}}},"total_ns":{total:.1},"baseline_ns":{base:.1},"allocations":{allocations:.3},"bytes":{bytes:.1},"batches":{batches},"calls_per_batch":{calls},"note":{:?}}}"#,
        row.of, row.what, row.note
    )
}
