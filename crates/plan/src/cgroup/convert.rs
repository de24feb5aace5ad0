//! v1 scales to v2 scales.

/// `cpu.weight` (1 to 10000) for v1 shares (2 to 262144). A curve through (2, 1), (1024, 100) and (262144, 10000), so that
/// both defaults meet; the straight line of older runtimes gave a default container 39 where the kernel gives 100.
#[must_use]
pub fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            // Floating point must not lift an exact power of ten to the next integer.
            (10_f64.powf(exponent) - 1e-9).ceil() as u64
        }
    }
}

/// `io.weight` (1 to 10000) for a v1 block weight (10 to 1000): a straight line.
#[must_use]
pub fn io_weight(weight: u16) -> u64 {
    let weight = u64::from(weight.clamp(10, 1000));
    1 + (weight - 10) * 9999 / 990
}
