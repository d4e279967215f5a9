//! Who issues certificates to the nodes of a deployment that is staged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};

pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// Of a server, with its key.
pub struct Issued {
    pub certificate: Certificate,
    pub key: KeyPair,
}

impl Authority {
    pub fn new(name: &str) -> Result<Self, rcgen::Error> {
        let mut terms = CertificateParams::new(Vec::new())?;
        terms.distinguished_name.push(DnType::CommonName, name);
        terms.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = terms.self_signed(&key)?;
        Ok(Self { certificate, issuer: Issuer::new(terms, key) })
    }

    /// For a server that is known by this name.
    pub fn issue(&self, name: &str) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let terms = CertificateParams::new(vec![name.to_owned()])?;
        let certificate = terms.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate, key })
    }

    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.certificate.der())
    }
}

impl Issued {
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", self.certificate.der())
    }

    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key.serialize_der())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
