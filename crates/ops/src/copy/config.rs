//! Settings that stand in a file or in the environment.
//!
//! A file (TOML or YAML) comes last, then the environment (`PWALK_COPY_STRATEGY`, `PWALK_COPY_BUFFER_SIZE_KB`, `PWALK_COPY_MAX_WORKERS`), then
//! whoever calls.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::builder::DefaultState;
use config::{ConfigBuilder, Environment, File, FileFormat};
use pwalk_engine::Threads;
use serde::Deserialize;

use super::error::CopyError;
use super::options::CopyOptions;
use super::strategy::strategy;

/// The names of what can be set.
const KEYS: [&str; 3] = ["copy_strategy", "copy_buffer_size_kb", "copy_max_workers"];

/// What can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Config {
    /// How content is copied: the name of a strategy.
    pub copy_strategy: Option<String>,
    /// Size of a buffer in KiB, 4 to 1,048,576.
    pub copy_buffer_size_kb: Option<u32>,
    /// Workers, 1 to 4096; without it as many as pay.
    pub copy_max_workers: Option<usize>,
}

impl Config {
    /// Reads the settings: those in `file`, else in the one that `PWALK_CONFIG` names, else in `pwalk/config.toml` or `.yaml` of the user's
    /// configuration directory if it is there; and those of the environment.
    ///
    /// # Errors
    /// A file that was named and cannot be read, and what is none of these settings.
    pub fn read(file: Option<&Path>) -> Result<Self, CopyError> {
        // A classic INI file is for tracking alone, and the variable is for both.
        let is_ini = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "ini" || ending == "cfg");
        let variable = || std::env::var_os("PWALK_CONFIG").map(PathBuf::from).filter(|path| !is_ini(path));
        let named = file.map(Path::to_owned).or_else(variable);
        let path = named.clone().or_else(|| usual_places().into_iter().find(|path| path.exists()));
        let mut builder = ConfigBuilder::<DefaultState>::default();
        if let Some(path) = &path {
            let text = std::fs::read_to_string(path)
                .map_err(|why| CopyError::Config { path: Some(path.clone()), why: why.to_string() })?;
            builder = builder.add_source(File::from_str(&text, format(path)));
        }
        builder = builder.add_source(Environment::with_prefix("PWALK").try_parsing(true));
        let failed = |why: config::ConfigError| CopyError::Config { path: path.clone(), why: why.to_string() };
        let all = builder.build().map_err(failed)?;
        let keys: HashMap<String, config::Value> = all.clone().try_deserialize().map_err(failed)?;
        if let Some(key) = keys.keys().find(|key| key.starts_with("copy_") && !KEYS.contains(&key.as_str())) {
            let why = format!("there is no setting {key}; there are {}", KEYS.join(", "));
            return Err(CopyError::Config { path, why });
        }
        let config: Self = all.try_deserialize().map_err(failed)?;
        config.check().map_err(|why| CopyError::Config { path: path.clone(), why })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.copy_buffer_size_kb.is_some_and(|size| !(4..=1_048_576).contains(&size)) {
            return Err("copy_buffer_size_kb must be from 4 to 1048576".to_owned());
        }
        if self.copy_max_workers.is_some_and(|workers| !(1..=4096).contains(&workers)) {
            return Err("copy_max_workers must be from 1 to 4096".to_owned());
        }
        Ok(())
    }

    /// Sets what is set here.
    ///
    /// # Errors
    /// A strategy that there is not.
    pub fn apply(&self, options: &mut CopyOptions) -> Result<(), CopyError> {
        if let Some(name) = &self.copy_strategy {
            options.strategy = strategy(name)?;
        }
        if let Some(size) = self.copy_buffer_size_kb {
            options.buffer = size as usize * 1024;
        }
        if let Some(workers) = self.copy_max_workers {
            options.walk.threads = Threads::Fixed(workers);
        }
        Ok(())
    }
}

fn format(path: &Path) -> FileFormat {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("yaml" | "yml") => FileFormat::Yaml,
        _ => FileFormat::Toml,
    }
}

fn usual_places() -> Vec<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let base = std::env::var_os("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from).or_else(home);
    base.map(|base| ["config.toml", "config.yaml", "config.yml"].map(|name| base.join("pwalk").join(name)).to_vec())
        .unwrap_or_default()
}
