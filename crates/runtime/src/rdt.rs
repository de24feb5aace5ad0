//! Classes of service in resctrl (`linux.intelRdt`).

use protocol::plan::Class;
use rustix::fs::{Mode, mkdir, rmdir};
use rustix::io::Errno;
use types::Kind;

use crate::error::{Error, Tried};
use crate::kernel::{read_file, write_file};

/// Finds or makes the class, and the container's monitoring group in it.
pub(crate) fn make(class: &Class) -> Result<(), Error> {
    let made = !class.existing && make_directory(class)?;
    let filled = if made { write(class) } else { compare(class) };
    filled.and_then(|()| monitor(class)).inspect_err(|_| {
        if made {
            let _ = rmdir(&*class.path);
        }
    })
}

/// Removes what the container had for itself.
pub(crate) fn remove(class: &Class) -> Result<(), Error> {
    let own = class.own.then_some(&class.path);
    for path in [Some(&class.monitor), own].into_iter().flatten().filter(|path| !path.is_empty()) {
        match rmdir(&**path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(Error::kernel(&format!("remove {path}"), errno)),
        }
    }
    Ok(())
}

/// False when a class that others may share is there already.
fn make_directory(class: &Class) -> Result<bool, Error> {
    match mkdir(&*class.path, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) if !class.own => Ok(false),
        other => other.tried(|| told(class, "make the class")).map(|()| true),
    }
}

/// Line by line: the kernel refuses one with its reason.
fn write(class: &Class) -> Result<(), Error> {
    let path = format!("{}/schemata", class.path);
    class.schemata.iter().try_for_each(|line| {
        write_file(&path, &format!("{line}\n")).tried(|| told(class, &format!("write {line:?} to {path}")))
    })
}

/// A class that is there must be what the document says.
fn compare(class: &Class) -> Result<(), Error> {
    let path = format!("{}/schemata", class.path);
    let there = read_file(&path).map_err(|errno| match errno {
        Errno::NOENT => Error::said(
            Kind::NotFound,
            format!(
                "linux.intelRdt.closID: there is no class {}, and nothing says what it would be",
                class.path
            ),
        ),
        errno => Error::kernel(&format!("read {path}"), errno),
    })?;
    match class.schemata.iter().find(|line| !holds(&there, line)) {
        None => Ok(()),
        Some(line) => Err(Error::said(
            Kind::Conflict,
            format!("linux.intelRdt: the class {} is there already, and is not {line:?}", class.path),
        )),
    }
}

/// Does the text have every domain of the line with its value? Masks are written with and without leading zeros.
fn holds(text: &str, line: &str) -> bool {
    let Some((resource, domains)) = line.split_once(':') else { return false };
    let there =
        text.lines().filter_map(|l| l.split_once(':')).find(|(name, _)| name.trim() == resource.trim());
    let Some((_, there)) = there else { return false };
    let there: Vec<_> = pairs(there).collect();
    pairs(domains).all(|pair| there.contains(&pair))
}

fn pairs(domains: &str) -> impl Iterator<Item = (&str, &str)> {
    domains.split(';').filter(|domain| !domain.trim().is_empty()).map(|domain| {
        let (id, value) = domain.split_once('=').unwrap_or((domain, ""));
        (id.trim(), value.trim().trim_start_matches('0'))
    })
}

fn monitor(class: &Class) -> Result<(), Error> {
    if class.monitor.is_empty() {
        return Ok(());
    }
    mkdir(&*class.monitor, Mode::from_raw_mode(0o755)).tried(|| told(class, "make the monitoring group"))
}

/// What was tried, with the kernel's own last word about it.
fn told(class: &Class, tried: &str) -> String {
    let mount = class.path.rsplit_once('/').map_or("", |(mount, _)| mount);
    let word = read_file(&format!("{mount}/info/last_cmd_status")).unwrap_or_default();
    match word.trim() {
        "" | "ok" => format!("linux.intelRdt: {tried} ({})", class.path),
        word => format!("linux.intelRdt: {tried} ({}): {word}", class.path),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A directory that looks like resctrl, with one class.
    struct Place(std::path::PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let place = std::env::temp_dir().join(format!("berth-rdt-{}-{name}", std::process::id()));
            fs::create_dir_all(place.join("gold/mon_groups")).unwrap();
            fs::create_dir_all(place.join("info")).unwrap();
            fs::write(place.join("gold/schemata"), "    L3:0=0000f;1=fffff\n    MB:0=  20;1= 100\n").unwrap();
            fs::write(place.join("info/last_cmd_status"), "out of classes\n").unwrap();
            Self(place)
        }

        fn class(&self, name: &str, schemata: &[&str]) -> Class {
            let schemata = schemata.iter().map(|line| (*line).to_owned()).collect();
            Class { path: self.0.join(name).display().to_string(), schemata, ..Class::default() }
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_class_that_is_there_is_compared() {
        let place = Place::new("compared");
        for line in ["L3:0=f", "L3:1=fffff;0=0f", "MB:0=20", "MB: 1 = 100"] {
            make(&place.class("gold", &[line])).unwrap();
        }
        for line in ["L3:0=ff", "L3:2=f", "MB:0=30", "L2:0=1"] {
            let error = make(&place.class("gold", &[line])).unwrap_err().to_string();
            assert!(error.contains("is there already, and is not"), "{error}");
        }
        let absent = Class { existing: true, ..place.class("absent", &[]) };
        assert!(make(&absent).unwrap_err().to_string().contains("there is no class"));
    }

    #[test]
    fn what_is_made_goes() {
        let place = Place::new("made");
        let own = Class { own: true, ..place.class("c1", &[]) };
        make(&own).unwrap();
        assert!(make(&own).unwrap_err().to_string().contains("out of classes"), "its own is nobody else's");
        remove(&own).unwrap();
        remove(&own).unwrap();
        // There is no kernel that would put a file there to write to.
        let written = Class { own: true, ..place.class("c1", &["L3:0=f"]) };
        assert!(make(&written).unwrap_err().to_string().contains("write \"L3:0=f\" to"));
        assert!(!place.0.join("c1").exists());
    }

    #[test]
    fn others_classes_stay() {
        let place = Place::new("others");
        let monitor = place.0.join("gold/mon_groups/c1");
        let class =
            Class { existing: true, monitor: monitor.display().to_string(), ..place.class("gold", &[]) };
        make(&class).unwrap();
        assert!(monitor.exists());
        remove(&class).unwrap();
        assert!(!monitor.exists() && place.0.join("gold").exists());
    }
}
