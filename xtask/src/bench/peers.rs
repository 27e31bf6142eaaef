//! Whom proxyd is compared with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::config::{self, Settings, Splice};

/// The name of the proxy that all others are compared with.
pub(crate) const OURS: &str = "proxyd";

/// Peers that take part unless others are named.
pub(crate) const USUAL: [&str; 6] = [
    "haproxy",
    "haproxy-splice",
    "haproxy-splice-1m",
    "haproxy-splice-always",
    "haproxy-splice-always-1m",
    "nginx",
];

/// proxyd with the switch that is off by default.
pub(crate) const RING: &str = "proxyd-ring";

/// A proxy that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reads haproxy.cfg and stays in the foreground with `-db`: HAProxy or proxyd.
    Haproxy {
        program: PathBuf,
        splice: Splice,
    },
    /// proxyd with `tune.io-uring on`.
    Ring {
        program: PathBuf,
    },
    Nginx {
        program: PathBuf,
    },
    /// Any other, by its command line with places to fill in.
    Command(Vec<String>),
}

/// Where the known programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) proxyd: PathBuf,
    pub(crate) haproxy: PathBuf,
    pub(crate) nginx: PathBuf,
}

impl Peer {
    pub(crate) fn ours(programs: &Programs) -> Self {
        Self {
            name: OURS.to_owned(),
            kind: Kind::Haproxy {
                program: programs.proxyd.clone(),
                splice: Splice::Default,
            },
        }
    }

    /// Reads `NAME`, `NAME=PATH:proxyd`, `NAME=PATH:proxyd-ring`, `NAME=PATH:haproxy` or
    /// `NAME=COMMAND`.
    ///
    /// # Errors
    /// If the name is unknown and nothing says what it is, or is taken.
    pub(crate) fn parse(text: &str, programs: &Programs) -> Result<Self> {
        let haproxy = |program: &Path, splice| Kind::Haproxy {
            program: program.to_owned(),
            splice,
        };
        let Some((name, command)) = text.split_once('=') else {
            let kind = match text {
                "haproxy" => haproxy(&programs.haproxy, Splice::Default),
                "haproxy-splice" => haproxy(&programs.haproxy, Splice::Auto),
                "haproxy-splice-1m" => haproxy(&programs.haproxy, Splice::AutoLargePipes),
                "haproxy-splice-always" => haproxy(&programs.haproxy, Splice::Always),
                "haproxy-splice-always-1m" => haproxy(&programs.haproxy, Splice::AlwaysLargePipes),
                "nginx" => Kind::Nginx {
                    program: programs.nginx.clone(),
                },
                RING => Kind::Ring {
                    program: programs.proxyd.clone(),
                },
                _ => bail!(
                    "no peer is called {text}; known are {}, {RING}, others are given as NAME=COMMAND",
                    USUAL.join(", ")
                ),
            };
            return Ok(Self {
                name: text.to_owned(),
                kind,
            });
        };
        ensure!(
            !name.is_empty() && name != OURS,
            "a peer cannot be called {name:?}"
        );
        let path =
            |path: &str| fs::canonicalize(path).with_context(|| format!("no program {path}"));
        let kind = if let Some(program) = command
            .strip_suffix(":proxyd")
            .or_else(|| command.strip_suffix(":haproxy"))
        {
            haproxy(&path(program)?, Splice::Default)
        } else if let Some(program) = command.strip_suffix(":proxyd-ring") {
            Kind::Ring {
                program: path(program)?,
            }
        } else {
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            ensure!(!words.is_empty(), "peer {name} has no command");
            Kind::Command(words)
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
        })
    }

    /// Whether this is a variant that differs from another peer by splicing alone.
    pub(crate) const fn splices(&self) -> bool {
        match self.kind {
            Kind::Haproxy { splice, .. } => !matches!(splice, Splice::Default),
            Kind::Ring { .. } | Kind::Nginx { .. } | Kind::Command(_) => false,
        }
    }

    /// Whether a run of it means nothing unless its process has an io_uring.
    pub(crate) const fn needs_ring(&self) -> bool {
        matches!(self.kind, Kind::Ring { .. })
    }

    /// Writes what the proxy reads, and gives back its command line.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub(crate) fn command(&self, settings: &Settings) -> Result<Vec<String>> {
        let Settings { port, dir, .. } = settings;
        let write = |text: &str, file: &str| -> Result<String> {
            let path = format!("{dir}/{port}{file}");
            fs::write(&path, text).with_context(|| format!("cannot write {path}"))?;
            Ok(path)
        };
        match &self.kind {
            Kind::Haproxy { program, splice } => {
                let path = write(&config::haproxy(settings, *splice), ".cfg")?;
                let program = program.display().to_string();
                Ok([&program, "-db", "-f", &path].map(str::to_owned).to_vec())
            }
            Kind::Ring { program } => {
                let text = config::haproxy(settings, Splice::Default);
                let text = text.replacen("global\n", "global\n    tune.io-uring on\n", 1);
                let path = write(&text, ".cfg")?;
                let program = program.display().to_string();
                Ok([&program, "-db", "-f", &path].map(str::to_owned).to_vec())
            }
            Kind::Nginx { program } => {
                let path = write(&config::nginx(settings), ".conf")?;
                let program = program.display().to_string();
                let words = [&program, "-e", "stderr", "-p", dir, "-c", &path];
                Ok(words.map(str::to_owned).to_vec())
            }
            Kind::Command(words) => {
                let haproxy = write(&config::haproxy(settings, Splice::Default), ".cfg")?;
                let fill = |text: &str| {
                    text.replace("{listen_port}", &port.to_string())
                        .replace("{backend_port}", &settings.backend().to_string())
                        .replace("{config}", &haproxy)
                };
                words
                    .iter()
                    .map(|word| {
                        let template = word
                            .strip_prefix("{config:")
                            .and_then(|rest| rest.strip_suffix('}'));
                        let Some(template) = template else {
                            return Ok(fill(word));
                        };
                        let text = fs::read_to_string(template)
                            .with_context(|| format!("cannot read {template}"))?;
                        let ending = Path::new(template)
                            .extension()
                            .map_or_else(String::new, |e| format!(".own.{}", e.to_string_lossy()));
                        write(&fill(&text), &ending)
                    })
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::Shape;

    fn programs() -> Programs {
        Programs {
            proxyd: "/ours".into(),
            haproxy: "/usr/sbin/haproxy".into(),
            nginx: "/usr/sbin/nginx".into(),
        }
    }

    #[test]
    fn peers_are_read_by_name_and_by_command() {
        let parse = |text: &str| Peer::parse(text, &programs());
        for name in USUAL {
            assert_eq!(parse(name).unwrap().name, name);
        }
        assert!(parse("haproxy-splice-1m").unwrap().splices());
        assert!(!parse("haproxy").unwrap().splices());
        let old = parse("old=/bin/sh:proxyd").unwrap();
        assert!(matches!(
            old.kind,
            Kind::Haproxy {
                splice: Splice::Default,
                ..
            }
        ));
        for ring in ["proxyd-ring", "new=/bin/sh:proxyd-ring"] {
            assert!(parse(ring).unwrap().needs_ring(), "{ring}");
        }
        let other = parse("realm=/opt/realm -l 127.0.0.1:{listen_port}").unwrap();
        assert!(matches!(other.kind, Kind::Command(words) if words.len() == 3));
        for wrong in [
            "varnish",
            "=x",
            "proxyd=/bin/sh:proxyd",
            "x=/no/such:proxyd-ring",
            "x=",
            "x=/no/such:proxyd",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_switch_sets_the_ring_apart() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            port: 10008,
            shape: Shape::One,
            maxconn: 10,
            dir: dir.path().display().to_string(),
        };
        let written = |peer: &Peer| {
            let words = peer.command(&settings).unwrap();
            fs::read_to_string(words.last().unwrap()).unwrap()
        };
        let ring = written(&Peer::parse(RING, &programs()).unwrap());
        let plain = written(&Peer::ours(&programs()));
        assert_eq!(ring.matches("    tune.io-uring on\n").count(), 1);
        assert_eq!(ring.replace("    tune.io-uring on\n", ""), plain);
    }

    #[test]
    fn places_in_a_command_and_in_its_template_are_filled() {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("t.toml");
        fs::write(&template, "listen={listen_port} to={backend_port}").unwrap();
        let settings = Settings {
            port: 10007,
            shape: Shape::One,
            maxconn: 10,
            dir: dir.path().display().to_string(),
        };
        let text = format!(
            "x=prog -p {{listen_port}} {{config:{}}} {{config}}",
            template.display()
        );
        let words = Peer::parse(&text, &programs())
            .unwrap()
            .command(&settings)
            .unwrap();
        assert_eq!(words[..3], ["prog", "-p", "10007"]);
        assert_eq!(
            fs::read_to_string(&words[3]).unwrap(),
            "listen=10007 to=9000"
        );
        assert!(words[3].ends_with(".own.toml"));
        assert!(
            fs::read_to_string(&words[4])
                .unwrap()
                .contains("bind 127.0.0.1:10007")
        );
    }
}
