//! Benches, each a command that anybody can run.

/// Time to start.
pub(crate) fn start(_: &[String]) -> Result<(), String> {
    Err("this bench is not written yet".to_owned())
}

/// Memory per idle container.
pub(crate) fn memory(_: &[String]) -> Result<(), String> {
    Err("this bench is not written yet".to_owned())
}
