//! TLS: the certificate, read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, crypto};
use tokio_rustls::TlsAcceptor;

/// A certificate with its key, in PEM files.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// The files when they were last tried.
    stamp: Stamp,
}

/// When each file was changed, and how long it is; none when it is not there.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Reads the files. Answers what is wrong with them.
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Arc<Self>, String> {
        let stamp = stamp(&certificate, &key);
        let config = config(&certificate, &key)?;
        Ok(Arc::new(Self { certificate, key, current: Mutex::new(Current { config, stamp }) }))
    }

    /// For one handshake, with the newest certificate.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).config.clone().into()
    }

    /// Looks at the files now and then, and reads them at SIGHUP. Connections that are open keep what they began with.
    pub(super) async fn keep_fresh(self: Arc<Self>, every: Duration) {
        let mut hangups = Hangups::listen();
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(every) => false,
                () = hangups.next() => true,
            };
            let tls = self.clone();
            // Files may lie on a slow network disk.
            let _ = tokio::task::spawn_blocking(move || tls.refresh(asked)).await;
        }
    }

    fn refresh(&self, asked: bool) {
        // Before the files are read: what changes meanwhile is seen next time.
        let stamp = stamp(&self.certificate, &self.key);
        let lock = || self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = std::mem::replace(&mut lock().stamp, stamp);
        if seen == stamp && !asked {
            return;
        }
        match config(&self.certificate, &self.key) {
            Ok(config) => {
                lock().config = config;
                tracing::info!("the TLS certificate was read again; new connections get it");
            }
            Err(why) => tracing::error!("the TLS certificate was not renewed, the old one stays in use: {why}"),
        }
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let cannot = |what: &str, path: &Path, cause: &dyn std::fmt::Display| {
        format!("The TLS {what} {} cannot be used: {cause}", path.display())
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| cannot("certificate", certificate, &cause))?;
    if chain.is_empty() {
        return Err(cannot("certificate", certificate, &"it holds no certificate in PEM form"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|cause| cannot("key", key, &cause))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|cause| {
            cannot("certificate", certificate, &format_args!("with the key {}: {cause}", key.display()))
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The signal by which administrators ask a server to read its files again.
#[cfg(unix)]
struct Hangups(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Hangups {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self(signal(SignalKind::hangup()).inspect_err(|cause| tracing::warn!(%cause, "SIGHUP cannot be awaited")).ok())
    }

    async fn next(&mut self) {
        let Some(signal) = &mut self.0 else { return std::future::pending().await };
        if signal.recv().await.is_none() {
            // It brings nothing more.
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}
