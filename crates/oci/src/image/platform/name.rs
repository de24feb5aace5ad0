//! Platforms as text, and their one canonical form.

use std::fmt;
use std::str::FromStr;

use crate::image::Platform;

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// Why a text names no platform. Worded as containerd words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A part is empty or has other characters than letters, digits, `_`, `.` and `-`.
    #[error("{part:?} is an invalid component of the platform {text:?}: invalid argument")]
    Component {
        /// The part.
        part: String,
        /// All of it.
        text: String,
    },
    /// One word that is neither a system nor an architecture.
    #[error("{0:?}: unknown operating system or architecture: invalid argument")]
    Unknown(String),
    /// More than three parts.
    #[error("{0:?}: cannot parse platform specifier: invalid argument")]
    Parts(String),
}

impl Platform {
    /// What programs of this build's architecture run on.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "loongarch64" => ("loong64", ""),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", ""),
            "powerpc64" => ("ppc64", ""),
            other => (other, ""),
        };
        Self {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: variant.into(),
            ..Self::default()
        }
    }

    /// The same platform under its one canonical name: `x86_64` becomes `amd64`, `arm64/v8` becomes `arm64`, `arm` becomes
    /// `arm/v7`; features come in order.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let (architecture, variant) = normalize(&self.architecture, &self.variant);
        let mut os_features = self.os_features.clone();
        os_features.sort();
        os_features.dedup();
        Self {
            os: normalize_os(&self.os),
            architecture,
            variant,
            os_features,
            os_version: self.os_version.clone(),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Reads `os`, `architecture`, `os/architecture` or `os/architecture/variant`; what is missing is the host's.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let mut parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 3 {
            return Err(PlatformError::Parts(text.to_owned()));
        }
        let (os, os_version) = match parts[0].strip_suffix(')').and_then(|part| part.split_once('(')) {
            Some((os, version)) => (os, version),
            None => (parts[0], ""),
        };
        parts[0] = os;
        let odd = parts.iter().find(|part| part.is_empty() || !is_word(part));
        if let Some(part) = odd.or(Some(&os_version).filter(|version| !is_word(version))) {
            return Err(PlatformError::Component { part: (*part).to_owned(), text: text.to_owned() });
        }
        let (architecture, variant) = match parts.get(1) {
            Some(architecture) => normalize(architecture, parts.get(2).unwrap_or(&"")),
            None => return of_one_word(os, os_version, text),
        };
        let variant = match (architecture.as_str(), variant.as_str(), parts.len()) {
            // Written out, it stays; left out, nothing is added.
            ("arm64", "", 3) => "v8".to_owned(),
            ("arm", "v7", 2) => String::new(),
            _ => variant,
        };
        Ok(Self {
            os: normalize_os(os),
            os_version: os_version.to_owned(),
            architecture,
            variant,
            os_features: Vec::new(),
        })
    }
}

fn of_one_word(word: &str, os_version: &str, text: &str) -> Result<Platform, PlatformError> {
    let os = normalize_os(word);
    let host = Platform::host();
    if SYSTEMS.contains(&os.as_str()) {
        return Ok(Platform { os, os_version: os_version.to_owned(), variant: String::new(), ..host });
    }
    let (architecture, variant) = normalize(word, "");
    if !ARCHITECTURES.contains(&architecture.as_str()) || !os_version.is_empty() {
        return Err(PlatformError::Unknown(text.to_owned()));
    }
    let variant = if architecture == "arm" && variant == "v7" { String::new() } else { variant };
    Ok(Platform { architecture, variant, ..host })
}

impl fmt::Display for Platform {
    /// `linux/arm64/v8`; `unknown` without an operating system.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() {
            return f.write_str("unknown");
        }
        f.write_str(&self.os)?;
        if !self.os_version.is_empty() {
            write!(f, "({})", self.os_version)?;
        }
        for part in [&self.architecture, &self.variant].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "/{part}")?;
        }
        Ok(())
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn normalize_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        "" => "linux".to_owned(),
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    }
}

fn normalize(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = (architecture.to_ascii_lowercase(), variant.to_ascii_lowercase());
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", other) => ("amd64", other),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64", other) => ("arm64", other),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        same => same,
    };
    (architecture.to_owned(), variant.to_owned())
}
