//! `exec`: one more process in a running container.

mod table;

pub(crate) use table::Execs;

use dockerapi::{ExecCreate, ExecCreated, ExecInspect, ExecProcess, ExecStart};
use oci::runtime::Process;
use plan::container::{ExecOptions, plan_exec};
use plan::spec::request::Program;
use plan::spec::user::{self, Accounts};
use plan::spec::{limits, process};
use protocol::{Exec, Stdio, Target};

use crate::attach::{self, Attached};
use crate::create::{new_id, prepare};
use crate::engine::{Engine, Inner, blocking};
use crate::foreign;
use crate::state::{Record, Status};
use crate::{Error, Result};

/// The largest passwd or group file that is read.
const ACCOUNTS_MAX: usize = 4 << 20;

impl Engine {
    /// Prepares an exec in a running container.
    ///
    /// # Errors
    /// `Conflict` when the container does not run; a request that is malformed.
    pub async fn exec_create(&self, who: &str, create: ExecCreate) -> Result<ExecCreated> {
        let record = self.0.find(who)?.record();
        check_running(&record)?;
        if create.cmd.first().is_none_or(String::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        user::check(&create.user)?;
        if !create.working_dir.is_empty() && !create.working_dir.starts_with('/') {
            return Err(Error::invalid(format!(
                "Cwd must be an absolute path, but it is {:?}",
                create.working_dir
            )));
        }
        if let Some(bad) = create.env.iter().find(|e| e.is_empty() || e.starts_with('=') || e.contains('\0'))
        {
            return Err(Error::invalid(format!("invalid environment variable: {bad}")));
        }
        attach::check_keys(&create.detach_keys)?;
        let id = new_id()?;
        let action = action("exec_create", &create);
        self.0.execs.add(&id, &record.id, create);
        self.0.tell(&record, &action, &[("execID", id.clone())]);
        Ok(ExecCreated { id })
    }

    /// Starts a prepared exec; answers its streams, or nothing when it is detached.
    ///
    /// # Errors
    /// `Conflict` when it was started before or the container does not run; the program cannot be executed.
    pub async fn exec_start(&self, id: &str, start: ExecStart) -> Result<Option<Attached>> {
        let exec = self.0.execs.get(id)?;
        let record = self.0.find(&exec.container)?.record();
        check_running(&record)?;
        let ended = self.0.execs.begin(&exec.id)?;
        let mut create = exec.create;
        create.console_size = start.console_size.or(create.console_size);
        let engine = self.clone();
        crate::detached(async move {
            let begun = engine.begin_exec(&record, &exec.id, &create, start.detach, ended).await;
            if let Err(error) = &begun {
                let code = if error.exit_code() == 127 { 127 } else { 126 };
                engine.0.execs.failed(&exec.id, i64::from(code));
            }
            begun
        })
        .await
    }

    async fn begin_exec(
        &self,
        record: &Record,
        id: &str,
        create: &ExecCreate,
        detach: bool,
        ended: tokio::sync::watch::Receiver<bool>,
    ) -> Result<Option<Attached>> {
        let inner = &self.0;
        let target = Target { container: record.id.clone(), exec: id.to_owned() };
        let (engine, wanted, asked) = (self.clone(), record.clone(), create.clone());
        let plan = blocking(move || {
            let inner = &engine.0;
            let document = inner.exec_process(&wanted, &asked)?;
            let options = ExecOptions {
                privileged: asked.privileged,
                facts: inner.host.facts.clone(),
                ..ExecOptions::default()
            };
            // The document is this engine's own: there is nothing in it to warn of.
            Ok::<_, Error>(plan_exec(&inner.running_plan(&wanted.id)?, &document, &options)?.plan)
        })
        .await??;
        let attached = match detach {
            true => None,
            false => Some(attach::of_exec(self, target.clone(), create, ended).await?),
        };
        let [height, width] = create.console_size.unwrap_or_default();
        let stdio = Stdio {
            terminal: create.tty,
            stdin: create.attach_stdin && !detach,
            stdin_once: true,
            width,
            height,
        };
        let exec = Exec { target: Some(target), plan: Some(plan), stdio: Some(stdio) };
        inner.tell(record, &action("exec_start", create), &[("execID", id.to_owned())]);
        let started = inner.supervisor.exec(exec).await?;
        inner.execs.running(id, started.pid);
        Ok(attached)
    }

    /// What is known of an exec.
    ///
    /// # Errors
    /// When there is no such exec.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecInspect> {
        let exec = self.0.execs.get(id)?;
        let mut words = exec.create.cmd.iter().cloned();
        Ok(ExecInspect {
            running: exec.is_running(),
            exit_code: exec.exit_code,
            process_config: ExecProcess {
                tty: exec.create.tty,
                entrypoint: words.next().unwrap_or_default(),
                arguments: words.collect(),
                privileged: Some(exec.create.privileged),
                user: exec.create.user.clone(),
            },
            open_stdin: exec.create.attach_stdin,
            open_stderr: exec.create.attach_stderr,
            open_stdout: exec.create.attach_stdout,
            can_remove: exec.exit_code.is_some(),
            container_id: exec.container.clone(),
            detach_keys: exec.create.detach_keys.clone(),
            pid: i64::from(exec.pid),
            id: exec.id,
        })
    }

    /// Sets the size of an exec's terminal, in characters.
    ///
    /// # Errors
    /// `Conflict` when it does not run or has no terminal.
    pub async fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let exec = self.0.execs.get(id)?;
        if !exec.is_running() {
            return Err(Error::conflict(format!("exec {id} is not running")));
        }
        let target = Target { container: exec.container, exec: exec.id };
        self.0.supervisor.resize(target, width.into(), height.into()).await
    }
}

/// Docker's name of what happens to an exec: with the program, a blank, and the arguments, of which there may be none.
fn action(what: &str, create: &ExecCreate) -> String {
    let (program, arguments) = create.cmd.split_first().map_or(("", &[][..]), |(p, rest)| (p.as_str(), rest));
    format!("{what}: {program} {}", arguments.join(" "))
}

fn check_running(record: &Record) -> Result<()> {
    let id = &record.id;
    match record.state.status {
        Status::Running => Ok(()),
        Status::Paused => {
            Err(Error::conflict(format!("container {id} is paused, unpause the container before exec")))
        }
        Status::Restarting => {
            Err(Error::conflict(format!("Container {id} is restarting, wait until the container is running")))
        }
        _ => Err(Error::conflict(format!("container {id} is not running"))),
    }
}

impl Inner {
    /// The exec's process in the runtime spec's terms. Blocks for a few file reads.
    fn exec_process(&self, record: &Record, create: &ExecCreate) -> Result<Process> {
        let read = |path: &str| {
            foreign::read_running(record.state.pid, path, ACCOUNTS_MAX)
                .map(Option::unwrap_or_default)
                .map_err(|e| Error::invalid(format!("cannot resolve the user: {path} of the container: {e}")))
        };
        let (passwd, group) = (read("/etc/passwd")?, read("/etc/group")?);
        let spec = if create.user.is_empty() { &record.config.user } else { &create.user };
        let accounts = Accounts { passwd: &passwd, group: &group };
        let user = user::resolve(spec, &record.host.group_add, accounts)?;
        let asked: Vec<String> = record.config.env.iter().chain(&create.env).cloned().collect();
        let env = process::environment(&record.config.hostname, create.tty, &asked, &user.home);
        let rlimits = record
            .host
            .resources
            .ulimits
            .iter()
            .map(limits::rlimit)
            .collect::<std::result::Result<_, _>>()?;
        let cwd =
            if create.working_dir.is_empty() { &record.config.working_dir } else { &create.working_dir };
        let program = Program {
            args: create.cmd.clone(),
            env,
            cwd: cwd.clone(),
            user: Some(user),
            terminal: create.tty,
            rlimits,
            ..Program::default()
        };
        let capabilities = prepare::capabilities(&record.host, &self.host)?;
        Ok(plan::spec::program(&program, Some(&capabilities)))
    }
}
