//! A certificate authority for one lab.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519};

/// The name every stand-in's certificate carries and the client asks for.
pub const SERVICE: &str = "kubernetes";

/// An authority that lives as long as the lab.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
}

impl Authority {
    /// A fresh one. Its keys are Ed25519, whose signatures have one length, so
    /// that equal connections carry equal numbers of bytes.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "lab authority");
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Writes what a client trusts.
    pub fn write_trust(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, &self.certificate)?)
    }

    /// Writes a certificate for [`SERVICE`] and its key.
    pub fn write_identity(&self, certificate: &Path, key: &Path) -> Result<()> {
        let pair = KeyPair::generate_for(&PKCS_ED25519)?;
        let params = CertificateParams::new(vec![SERVICE.to_owned()])?;
        fs::write(certificate, params.signed_by(&pair, &self.issuer)?.der())?;
        fs::write(key, pair.serialize_der())?;
        Ok(())
    }
}
