//! Encryption, with as much of the server's certificate checked as `sslmode` says.
//!
//! Root certificates are those of `libpq`: the file `PGSSLROOTCERT` or `~/.postgresql/root.crt`, and where there is none those of the system, as
//! with its `sslrootcert=system`. Client certificates are not used.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// What of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing: whoever only listens learns nothing, but the server may be anybody.
    Nothing,
    /// Who signed it.
    Chain,
    /// And whom it is for.
    ChainAndName,
}

/// The file of root certificates, if there is one.
pub(super) fn root_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let file = set("PGSSLROOTCERT").or_else(|| Some(set("HOME")?.join(".postgresql/root.crt")));
    file.filter(|file| file.exists())
}

/// How encrypted connections are made. What is wrong with that, in words.
pub(super) fn client(check: Check) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let chain = match check {
        Check::Nothing => None,
        Check::Chain | Check::ChainAndName => {
            let roots = Arc::new(roots()?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(verifier.map_err(|why| format!("the root certificates cannot be used: {why}"))?)
        }
    };
    let verifier = Arc::new(Verifier { chain, check, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|why| format!("TLS cannot be used: {why}"))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn roots() -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if let Some(file) = root_file() {
        let unusable = |why: &dyn std::fmt::Display| format!("{} holds no root certificates: {why}", file.display());
        for certificate in CertificateDer::pem_file_iter(&file).map_err(|why| unusable(&why))? {
            let certificate = certificate.map_err(|why| unusable(&why))?;
            store.add(certificate).map_err(|why| unusable(&why))?;
        }
        return Ok(store);
    }
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("there are no root certificates to check the server's with; put one into ~/.postgresql/root.crt, \
                    or say sslmode=require to go without the check"
            .to_owned());
    }
    Ok(store)
}

#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let verified = chain.verify_server_cert(certificate, between, name, ocsp, now);
        match verified {
            // The name is looked at last: all else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Chain => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
