//! Debian's docker-registry, on loopback.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::wait_for;

/// A registry with a directory of its own. Dropping it removes both.
#[derive(Debug)]
pub struct Registry {
    address: String,
    directory: PathBuf,
    child: Child,
}

impl Registry {
    /// Starts one on a port of loopback, which is the test's own. With accounts, only they may do anything.
    ///
    /// # Panics
    /// When docker-registry, or with accounts htpasswd, is missing or does not start.
    #[must_use]
    pub fn start(port: u16, accounts: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}r{}", crate::mark(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory for the registry");
        let address = format!("127.0.0.1:{port}");
        let mut settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '{address}'}}\n",
            directory.join("data").display()
        );
        if !accounts.is_empty() {
            let file = directory.join("htpasswd");
            let lines: Vec<String> = accounts.iter().map(|(name, password)| hashed(name, password)).collect();
            std::fs::write(&file, lines.concat()).expect("htpasswd file");
            settings += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", file.display());
        }
        let file = directory.join("config.yml");
        std::fs::write(&file, settings).expect("config.yml");
        let mut server = Command::new("docker-registry");
        server.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = server.spawn().expect("docker-registry (package docker-registry)");
        wait_for("docker-registry", || std::net::TcpStream::connect(&address).is_ok());
        Self { address, directory, child }
    }

    /// Where it keeps everything: `data` below it.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn hashed(name: &str, password: &str) -> String {
    let output = Command::new("htpasswd").args(["-Bbn", name, password]).output();
    let output = output.expect("htpasswd (package apache2-utils)");
    assert!(output.status.success(), "htpasswd");
    format!("{}\n", String::from_utf8_lossy(&output.stdout).trim())
}
