//! Questions to the domain name system, over the network.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bureau_kit::dns::DnsResolver;
use bureau_kit::tool::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

/// How long one server may take for one answer; it is asked twice.
const PATIENCE: Duration = Duration::from_secs(3);

/// A server to ask, at port 53 unless another is named: `9.9.9.9`, `127.0.0.1:5353`, `[::1]:5353`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server(SocketAddr);

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53));
        let address = address.or_else(|_| text.parse::<SocketAddr>());
        address.map(Self).map_err(|_| "expected an address such as 9.9.9.9 or 127.0.0.1:5353".to_owned())
    }
}

/// Asks the servers that are named, or else those of the machine. Remembers nothing: a record that was just added counts.
#[derive(Debug)]
pub struct Resolver(TokioResolver);

impl Resolver {
    /// Asks these servers; those of the machine when there are none.
    pub fn new(servers: &[Server]) -> Result<Arc<Self>, String> {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio()
        } else {
            let named = servers.iter().map(|Server(address)| {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                for connection in &mut server.connections {
                    connection.port = address.port();
                }
                server
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), named.collect());
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let unreadable = |error| format!("the servers of the domain name system cannot be set up: {error}");
        let mut builder = builder.map_err(unreadable)?;
        let options = builder.options_mut();
        options.cache_size = 0;
        options.timeout = PATIENCE;
        options.attempts = 2;
        builder.build().map(|resolver| Arc::new(Self(resolver))).map_err(unreadable)
    }
}

impl DnsResolver for Resolver {
    fn texts<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            // With a dot at its end, so that no search list of the machine is tried.
            let found = match self.0.txt_lookup(format!("{name}.")).await {
                Ok(found) => found,
                Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
                Err(error) => return Err(error.to_string()),
            };
            let texts = found.answers().iter().filter_map(|record| match &record.data {
                // One text may come in several pieces.
                RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
                _ => None,
            });
            Ok(texts.collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::rdata::TXT;
    use hickory_resolver::proto::rr::{Record, RecordType};
    use tokio::net::UdpSocket;

    use super::*;

    /// A real name server on this machine: `shop.example.com` has texts, `empty.` none, `broken.` fails, others are not there.
    async fn server() -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0_u8; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let asked = Message::from_vec(&buffer[..length]).unwrap();
                let query = asked.queries[0].clone();
                assert_eq!(query.query_type(), RecordType::TXT);
                let name = query.name().to_utf8();
                let mut answer = match name.as_str() {
                    "broken.example.com." => {
                        Message::error_msg(asked.metadata.id, OpCode::Query, ResponseCode::ServFail)
                    }
                    "shop.example.com." | "empty.example.com." => Message::response(asked.metadata.id, OpCode::Query),
                    _ => Message::error_msg(asked.metadata.id, OpCode::Query, ResponseCode::NXDomain),
                };
                answer.add_query(query.clone());
                if name == "shop.example.com." {
                    for pieces in [vec!["v=spf1 -all"], vec!["bureau-", "verify=żółw"]] {
                        let text = TXT::new(pieces.into_iter().map(str::to_owned).collect());
                        answer.add_answer(Record::from_rdata(query.name().clone(), 60, RData::TXT(text)));
                    }
                }
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        Server(address)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_real_server_is_asked() {
        let resolver = Resolver::new(&[server().await]).unwrap();
        assert_eq!(resolver.texts("shop.example.com").await.unwrap(), ["v=spf1 -all", "bureau-verify=żółw"]);
        assert_eq!(resolver.texts("empty.example.com").await.unwrap(), Vec::<String>::new());
        assert_eq!(resolver.texts("other.example.com").await.unwrap(), Vec::<String>::new());
        assert!(resolver.texts("broken.example.com").await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_is_not_there_is_told() {
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let resolver = Resolver::new(&[Server(nobody)]).unwrap();
        assert!(resolver.texts("shop.example.com").await.is_err());
    }

    #[test]
    fn addresses_of_servers_are_read() {
        assert_eq!("9.9.9.9".parse(), Ok(Server(([9, 9, 9, 9], 53).into())));
        assert_eq!("127.0.0.1:5353".parse(), Ok(Server(([127, 0, 0, 1], 5353).into())));
        assert!("::1".parse::<Server>().is_ok() && "[::1]:53".parse::<Server>().is_ok());
        assert_eq!(
            "dns.example.com".parse::<Server>(),
            Err("expected an address such as 9.9.9.9 or 127.0.0.1:5353".to_owned())
        );
    }
}
