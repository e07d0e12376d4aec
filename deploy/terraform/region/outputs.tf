output "addresses" {
  description = "The two public addresses."
  value       = local.addresses[*].public_ip
}

output "jiragate_egress" {
  description = "JIRAGATE_EGRESS."
  value       = local.jiragate_egress
}

output "proxy" {
  description = "Where services reach the proxy."
  value       = "https://${local.local_ips[0]}:${var.proxy_port}"
}

output "instance_id" {
  description = "Of the gateway."
  value       = aws_instance.gateway.id
}

output "role_arn" {
  description = "Of the gateway."
  value       = aws_iam_role.gateway.arn
}

output "key_arn" {
  description = "KMS key of the keyset."
  value       = aws_kms_key.keyset.arn
}

output "network" {
  description = "What peering and routes need."
  value = {
    vpc_id            = aws_vpc.gateway.id
    vpc_cidr          = aws_vpc.gateway.cidr_block
    route_table_id    = aws_route_table.gateway.id
    security_group_id = aws_security_group.gateway.id
  }
}
