# jiragate egress addresses, region eu
# created 2026-11-27T06:30:00Z, sync token 1795761000
# No address is published: calls are unpinned and may come from any address.
# This file allows nothing.
#
# Run with  sh egress-iptables.sh.  Running it again, or a newer one, replaces what was
# listed; new connections are not accepted by the chain in the moment between. The chain
# does nothing by itself: jump to it once from the chain that filters what goes to Jira:
#
#   iptables -w -I INPUT -p tcp --dport 443 -j JIRAGATE-EU
#   ip6tables -w -I INPUT -p tcp --dport 443 -j JIRAGATE-EU
#
# If Jira listens on another port, change 443.

set -eu

# No IPv4 address is published; what an earlier file listed is taken back.
iptables -w -F JIRAGATE-EU 2>/dev/null || true

# No IPv6 address is published; what an earlier file listed is taken back.
ip6tables -w -F JIRAGATE-EU 2>/dev/null || true
