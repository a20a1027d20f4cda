//! Times the sampling of cell 1's data (N = 100, 5.12 M sequences): `sample stream|alias` prints seconds and the process's peak memory
//! in MB. `make bench` calls it.

use ntgram_core::prelude::*;

fn main() -> Result<()> {
    let mut rng = TorchRng::new(2222);
    let pi = power_unif_law(&[1.0; 3], &[40, 40, 1], 100, &mut rng)?;
    let started = std::time::Instant::now();
    let data = match std::env::args().nth(1).as_deref() {
        Some("stream") => generate_data(1024, 5000, &pi, 3, &mut rng)?,
        Some("alias") => sample_data(1024, 5000, &pi, 3, &mut rng)?,
        _ => panic!("sample stream|alias"),
    };
    let seconds = started.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.split_whitespace().next());
    let peak = peak.and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e3;
    println!("{:?} {seconds} {peak}", data.column_sums());
    Ok(())
}
