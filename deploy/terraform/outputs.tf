output "egress_addresses" {
  description = "What customers must allow: the public addresses of each environment."
  value = {
    us = module.us.addresses
    eu = module.eu.addresses
  }
}

output "jiragate_egress" {
  description = "JIRAGATE_EGRESS of each gateway, as it is in its environment file."
  value = {
    us = module.us.jiragate_egress
    eu = module.eu.jiragate_egress
  }
}

output "egress_announce" {
  description = "Commands that announce the addresses before they are used; put the date in. jiragate egress publish then has them."
  value = {
    us = [for address in module.us.addresses : "jiragate egress announce ${address} --from DATE"]
    eu = [for address in module.eu.addresses : "jiragate egress announce ${address} --from DATE"]
  }
}

output "proxy" {
  description = "Where services reach the proxy of each environment: private address and port."
  value = {
    us = module.us.proxy
    eu = module.eu.proxy
  }
}

output "session" {
  description = "Commands that open a shell on each gateway."
  value = {
    us = "aws ssm start-session --region ${var.us.region} --target ${module.us.instance_id}"
    eu = "aws ssm start-session --region ${var.eu.region} --target ${module.eu.instance_id}"
  }
}

output "network" {
  description = "What peering and routes to the services need."
  value = {
    us = module.us.network
    eu = module.eu.network
  }
}

output "key_arn" {
  description = "KMS key of each environment's keyset."
  value = {
    us = module.us.key_arn
    eu = module.eu.key_arn
  }
}
