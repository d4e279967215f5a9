//! Who issues certificates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};

pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// Of a server, with its key.
pub(crate) struct Issued {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut terms = CertificateParams::new(Vec::new()).unwrap();
        terms.distinguished_name.push(DnType::CommonName, name);
        terms.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = terms.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(terms, key) }
    }

    /// For a server that is known by this name.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let terms = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = terms.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate, key }
    }

    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", self.certificate.der())
    }
}

impl Issued {
    pub(crate) fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", self.certificate.der())
    }

    pub(crate) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key.serialize_der())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
