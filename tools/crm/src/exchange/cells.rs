//! Cells that a spreadsheet would run as a formula.
//!
//! On the way out such a cell gets an apostrophe in front, and so does one that only looks as if it had got one; on the
//! way in one is taken off. So what was exported comes back exactly.

fn would_run(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// A cell as it is written to a file.
pub(super) fn outward(cell: String) -> String {
    if would_run(&cell) { format!("'{cell}") } else { cell }
}

/// A cell as it was before it was written.
pub(super) fn inward(cell: &str) -> &str {
    if would_run(cell) { cell.strip_prefix('\'').unwrap_or(cell) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_run_is_quoted_and_comes_back() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+48 600", "'+48 600"),
            ("-5", "'-5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("'=1", "''=1"),
            ("O'Neil", "O'Neil"),
            ("'quoted'", "'quoted'"),
            ("", ""),
        ] {
            assert_eq!(outward(cell.to_owned()), written);
            assert_eq!(inward(written), cell);
        }
        assert_eq!(inward("=1+1"), "=1+1");
    }
}
