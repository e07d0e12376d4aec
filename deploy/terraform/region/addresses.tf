# The two public addresses of the region. Customers have them on their allowlists, so
# they outlive everything: they can't be destroyed, and belong to a network interface
# that outlives its instance.

locals {
  allocate = length(var.eip_allocation_ids) == 0

  addresses = local.allocate ? [
    for a in aws_eip.egress : { allocation_id = a.allocation_id, public_ip = a.public_ip }
    ] : [
    for a in data.aws_eip.existing : { allocation_id = a.id, public_ip = a.public_ip }
  ]

  # Chosen here, not by AWS: the gateway's settings name them.
  local_ips = [for host in [10, 11] : cidrhost(local.subnets[var.gateway_zone], host)]

  jiragate_egress = join(",", [for i, ip in local.local_ips : "${local.addresses[i].public_ip}=${ip}"])
}

resource "aws_eip" "egress" {
  count = local.allocate ? 2 : 0

  domain           = "vpc"
  public_ipv4_pool = var.public_ipv4_pool

  tags = { Name = "${var.name}-egress-${count.index + 1}" }

  lifecycle {
    prevent_destroy = true
  }
}

data "aws_eip" "existing" {
  count = length(var.eip_allocation_ids)

  id = var.eip_allocation_ids[count.index]
}

resource "aws_network_interface" "gateway" {
  subnet_id               = aws_subnet.gateway[var.gateway_zone].id
  description             = "The gateway, with both egress addresses"
  private_ip_list_enabled = true
  private_ip_list         = local.local_ips
  security_groups         = [aws_security_group.gateway.id]
  source_dest_check       = true

  tags = { Name = var.name }
}

resource "aws_eip_association" "egress" {
  count = 2

  allocation_id        = local.addresses[count.index].allocation_id
  network_interface_id = aws_network_interface.gateway.id
  private_ip_address   = local.local_ips[count.index]

  depends_on = [aws_internet_gateway.gateway]
}
