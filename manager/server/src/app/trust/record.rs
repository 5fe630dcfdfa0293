//! What is kept of enrolment tokens and of agents' identities.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use conductor_model::{AgentId, Timestamp};
use serde::{Deserialize, Serialize};

/// A token that lets hosts in. Its secret is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentToken {
    /// Its id, the open part of the token.
    pub id: String,
    /// SHA-256 of the whole token.
    pub hash: String,
    /// Labels that every agent gets that it lets in.
    pub labels: BTreeMap<String, String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// It is good until then.
    pub expires_at: Timestamp,
    /// How many agents it may let in.
    pub uses: u32,
    /// How many it has.
    pub used: u32,
    /// Hosts' addresses; empty = any.
    pub networks: Vec<Network>,
    /// Whether somebody must say yes to each host.
    pub approval: Approval,
}

/// Who lets a host in that shows a good token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// The token alone.
    #[default]
    Automatic,
    /// An operator, each by hand.
    Manual,
}

/// What the manager knows of an agent's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentIdentity {
    /// Whose.
    pub agent: AgentId,
    /// How it stands.
    pub state: IdentityState,
    /// The token that let it in.
    pub token: String,
    /// Labels from the token.
    pub labels: BTreeMap<String, String>,
    /// SHA-256 of the request that it was made for: the same request again gets the same answer.
    pub request_hash: String,
    /// The host's machine id, as it said.
    pub machine_id: String,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// When.
    pub requested_at: Timestamp,
    /// Certificates that are good, the newest last.
    pub certificates: Vec<CertificateNote>,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateNote {
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// It is good until then.
    pub not_after: Timestamp,
}

/// How an identity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityState {
    /// An operator must say yes or no.
    Pending,
    /// It is let in.
    Active,
    /// An operator said no.
    Rejected,
    /// It was let in and is no more.
    Revoked,
}

/// A range of addresses, as in `10.0.0.0/8`; one address is a range too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(ipnet::IpNet);

impl Network {
    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<ipnet::IpNet>().or_else(|_| text.parse::<IpAddr>().map(ipnet::IpNet::from));
        parsed.map(Self).map_err(|_| format!("{text:?} is no range of addresses; one is written 10.0.0.0/8 or fd00::/8"))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_its_networks_alone() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains("10.1.2.3".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        let one: Network = "127.0.0.1".parse().unwrap();
        assert!(one.contains("127.0.0.1".parse().unwrap()) && !one.contains("127.0.0.2".parse().unwrap()));
        assert!("10.1.0.0/33".parse::<Network>().unwrap_err().contains("10.0.0.0/8"));
    }
}
