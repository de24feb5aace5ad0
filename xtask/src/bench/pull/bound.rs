//! What the machine itself allows: the time in which an image could be pulled if nothing were ever done twice or waited for, from rates that
//! are measured one by one, with the libraries that Berth uses.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};

use super::super::measure::quantile;
use super::super::stage::Stage;
use super::images::{Image, Layer, beginning};
use super::{path, session};
use crate::command;

/// So much of a blob is inflated, hashed or written to know a rate.
const SAMPLE: u64 = 256 << 20;
const CREATED: u32 = 5000;
/// The disk's rate is the median of so many.
const WRITTEN: usize = 5;

/// The bound and what it is made of; bytes and seconds.
pub(super) struct Bound {
    pub(super) seconds: f64,
    pub(super) shown: String,
}

/// `max(C/network, (U/inflate + C/sha + U/sha + files * create)/processors, U/disk, U of the largest layer/inflate)`.
pub(super) fn measure(stage: &Stage, image: &Image, registry: &str) -> Result<Bound, String> {
    let sum = |of: fn(&Layer) -> u64| image.layers.iter().map(of).sum::<u64>() as f64;
    let (compressed, plain, files) = (sum(|l| l.compressed), sum(|l| l.plain), sum(|l| l.files));
    let largest = image.layers.iter().max_by_key(|layer| layer.plain).ok_or("an image without layers")?;
    let sample = beginning(&largest.blob, SAMPLE)?;
    let inflate = inflate(largest, &sample)?;
    let sha = rate(sample.len() as u64, || {
        std::hint::black_box(digest(&SHA256, &sample));
        Ok(())
    })?;
    let network = network(image, registry)?;
    let (create, disk) = file_system(stage, &sample)?;
    let processors = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    let work = plain / inflate + (compressed + plain) / sha + files * create;
    let terms = [compressed / network, work / processors, plain / disk, largest.plain as f64 / inflate];
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let shown = format!(
        "C {:.0} MiB, U {:.0} MiB, {files} entries; network {:.0}, inflate {:.0}, SHA-256 {:.0}, disk {:.0} MiB/s, create {:.1} us: \
         network {:.2} s, work {:.2} s, disk {:.2} s, largest layer {:.2} s",
        mib(compressed),
        mib(plain),
        mib(network),
        mib(inflate),
        mib(sha),
        mib(disk),
        create * 1e6,
        terms[0],
        terms[1],
        terms[2],
        terms[3],
    );
    Ok(Bound { seconds: terms.into_iter().fold(0.0, f64::max), shown })
}

/// Bytes per second.
fn rate(bytes: u64, work: impl FnOnce() -> Result<(), String>) -> Result<f64, String> {
    let start = Instant::now();
    work()?;
    Ok(bytes as f64 / start.elapsed().as_secs_f64())
}

fn inflate(layer: &Layer, sample: &[u8]) -> Result<f64, String> {
    let mut decoder: Box<dyn Read> = if layer.is_zstd() {
        Box::new(zstd::stream::read::Decoder::new(sample).map_err(|e| e.to_string())?)
    } else {
        Box::new(flate2::read::MultiGzDecoder::new(sample))
    };
    let (mut buffer, mut bytes, start) = (vec![0; 256 << 10], 0, Instant::now());
    // The sample may end in the middle.
    while let Ok(count) = decoder.read(&mut buffer) {
        if count == 0 {
            break;
        }
        bytes += count;
    }
    Ok(bytes as f64 / start.elapsed().as_secs_f64())
}

/// All blobs, fetched and thrown away.
fn network(image: &Image, registry: &str) -> Result<f64, String> {
    let urls = image
        .layers
        .iter()
        .map(|layer| format!("http://{registry}/v2/{}/blobs/{}", image.name, layer.digest()));
    let bytes = image.layers.iter().map(|layer| layer.compressed).sum();
    rate(bytes, || {
        let mut curl = Command::new("curl");
        for url in urls {
            curl.args(["--output", "/dev/null", &url]);
        }
        command::run(curl.args(["--silent", "--fail"]).stdout(Stdio::null()))
    })
}

/// Seconds to create an empty file, and bytes per second to the disk.
fn file_system(stage: &Stage, sample: &[u8]) -> Result<(f64, f64), String> {
    let root = session::fresh_disk(stage)?;
    let measured = (|| {
        let start = Instant::now();
        for number in 0..CREATED {
            File::create(root.join(number.to_string())).map_err(|e| e.to_string())?;
        }
        let create = start.elapsed().as_secs_f64() / f64::from(CREATED);
        let mut disk = Vec::new();
        for number in 0..WRITTEN {
            disk.push(rate(sample.len() as u64, || {
                let file = File::create(root.join(format!("sample-{number}")));
                file.and_then(|mut file| file.write_all(sample).and_then(|()| file.sync_all()))
                    .map_err(|e| e.to_string())
            })?);
        }
        Ok((create, quantile(&disk, 0.5)))
    })();
    command::run(Command::new("umount").arg(path(&root)))?;
    std::fs::remove_file(stage.path("disk")).map_err(|e| e.to_string())?;
    measured
}
