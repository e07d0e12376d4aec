# In: the proxy, from services that are named. Out: HTTPS. Nothing else: the admin API
# listens on loopback and is reached by Session Manager, and so is a shell. Queries to
# the VPC's resolver, time and metadata of the machine pass no security group.

resource "aws_security_group" "gateway" {
  name        = "${var.name}-gateway"
  description = "The gateway: proxy in, HTTPS out"
  vpc_id      = aws_vpc.gateway.id

  tags = { Name = "${var.name}-gateway" }
}

resource "aws_vpc_security_group_ingress_rule" "proxy_network" {
  for_each = var.client_cidrs

  security_group_id = aws_security_group.gateway.id
  description       = "Services call the proxy"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = var.proxy_port
  to_port           = var.proxy_port
}

resource "aws_vpc_security_group_ingress_rule" "proxy_group" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.gateway.id
  description                  = "Services call the proxy"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = var.proxy_port
  to_port                      = var.proxy_port
}

resource "aws_vpc_security_group_egress_rule" "jira" {
  for_each = toset([for port in var.jira_ports : tostring(port)])

  security_group_id = aws_security_group.gateway.id
  description       = "Jira, Atlassian, AWS APIs, packages"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
}

resource "aws_vpc_security_group_egress_rule" "telemetry" {
  count = var.telemetry == null ? 0 : 1

  security_group_id = aws_security_group.gateway.id
  description       = "OTLP collector"
  cidr_ipv4         = var.telemetry.cidr
  ip_protocol       = "tcp"
  from_port         = var.telemetry.port
  to_port           = var.telemetry.port
}

resource "aws_security_group" "endpoint" {
  name        = "${var.name}-endpoint"
  description = "The KMS endpoint: asked by the gateway"
  vpc_id      = aws_vpc.gateway.id

  tags = { Name = "${var.name}-endpoint" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  security_group_id            = aws_security_group.endpoint.id
  description                  = "The gateway asks KMS"
  referenced_security_group_id = aws_security_group.gateway.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# The default group allows its members everything; with no rules, it allows nothing.
resource "aws_default_security_group" "gateway" {
  vpc_id = aws_vpc.gateway.id

  tags = { Name = "${var.name}-unused" }
}
