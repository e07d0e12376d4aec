# A VPC for the gateway alone: a subnet in each of two zones, of which one has the
# gateway. The other is where it goes if that zone fails. There is no NAT gateway: it
# would be a third way out, with an address that nobody has been told of.

locals {
  subnets = [for i in range(2) : cidrsubnet(var.vpc_cidr, 8, i + 1)]
}

resource "aws_vpc" "gateway" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # the KMS endpoint's name needs it

  tags = { Name = var.name }
}

resource "aws_subnet" "gateway" {
  count = 2

  vpc_id                  = aws_vpc.gateway.id
  availability_zone       = var.zones[count.index]
  cidr_block              = local.subnets[count.index]
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-${var.zones[count.index]}" }
}

resource "aws_internet_gateway" "gateway" {
  vpc_id = aws_vpc.gateway.id

  tags = { Name = var.name }
}

resource "aws_route_table" "gateway" {
  vpc_id = aws_vpc.gateway.id

  tags = { Name = var.name }
}

# A resource of its own, so that routes to peered networks can be added beside it.
resource "aws_route" "internet" {
  route_table_id         = aws_route_table.gateway.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.gateway.id
}

resource "aws_route_table_association" "gateway" {
  count = 2

  subnet_id      = aws_subnet.gateway[count.index].id
  route_table_id = aws_route_table.gateway.id
}

resource "aws_vpc_endpoint" "kms" {
  count = var.kms_endpoint ? 1 : 0

  vpc_id              = aws_vpc.gateway.id
  service_name        = "com.amazonaws.${data.aws_region.current.region}.kms"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.gateway[*].id
  security_group_ids  = [aws_security_group.endpoint.id]

  tags = { Name = "${var.name}-kms" }
}
