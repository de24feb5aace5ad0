//! Defences that a test build can switch off, to show that the test of each goes red without it. `BERTH_WEAK=R03,I08` names the rows
//! of the list of historical weaknesses whose defence is off. A build without the feature `weak` has none of this.
#![allow(
    clippy::disallowed_methods,
    reason = "only builds for tests with this feature look at the environment"
)]

#[cfg(all(feature = "weak", not(debug_assertions)))]
compile_error!("the feature `weak` switches defences off: it is for test builds only, never for a release");

/// Is the defence of this row switched off?
#[cfg(not(feature = "weak"))]
#[must_use]
pub const fn is_off(_row: &str) -> bool {
    false
}

/// Is the defence of this row switched off?
#[cfg(feature = "weak")]
#[must_use]
pub fn is_off(row: &str) -> bool {
    use std::sync::OnceLock;

    static OFF: OnceLock<Vec<String>> = OnceLock::new();
    let read = || {
        let rows = std::env::var("BERTH_WEAK").unwrap_or_default();
        rows.split(',').map(|row| row.trim().to_owned()).collect()
    };
    OFF.get_or_init(read).iter().any(|off| off == row)
}
