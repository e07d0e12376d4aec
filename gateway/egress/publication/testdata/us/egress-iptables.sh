# jiragate egress addresses, region us
# created 2026-11-27T06:30:00Z, sync token 1795761000
#
# Run with  sh egress-iptables.sh.  Running it again, or a newer one, replaces what was
# listed; new connections are not accepted by the chain in the moment between. The chain
# does nothing by itself: jump to it once from the chain that filters what goes to Jira:
#
#   iptables -w -I INPUT -p tcp --dport 443 -j JIRAGATE-US
#   ip6tables -w -I INPUT -p tcp --dport 443 -j JIRAGATE-US
#
# If Jira listens on another port, change 443.

set -eu

iptables -w -N JIRAGATE-US 2>/dev/null || iptables -w -F JIRAGATE-US
iptables -w -A JIRAGATE-US -s 52.54.159.237/32 -p tcp --dport 443 -j ACCEPT # in use since 2021-05-04T00:00:00Z
iptables -w -A JIRAGATE-US -s 52.73.143.252/32 -p tcp --dport 443 -j ACCEPT # in use since 2024-03-01T00:00:00Z, until 2027-03-31T22:00:00Z
iptables -w -A JIRAGATE-US -s 54.144.10.21/32 -p tcp --dport 443 -j ACCEPT # announced, calls from 2026-12-15T09:00:00Z

ip6tables -w -N JIRAGATE-US 2>/dev/null || ip6tables -w -F JIRAGATE-US
ip6tables -w -A JIRAGATE-US -s 2a05:d018::1/128 -p tcp --dport 443 -j ACCEPT # in use since 2026-06-01T00:00:00Z
