locals {
  tags = merge({ Application = var.name }, var.tags)

  checkpoints = var.checkpoints == null ? null : {
    bucket = var.checkpoints.bucket
    region = var.checkpoints.region
  }
}

module "us" {
  source    = "./region"
  providers = { aws = aws.us }

  name                      = "${var.name}-us"
  jira_region               = "us"
  zones                     = var.us.zones
  gateway_zone              = var.us.gateway_zone
  vpc_cidr                  = var.us.vpc_cidr
  client_cidrs              = var.us.client_cidrs
  client_security_group_ids = var.us.client_security_group_ids
  eip_allocation_ids        = var.us.eip_allocation_ids
  public_ipv4_pool          = var.us.public_ipv4_pool
  data_snapshot_id          = var.us.data_snapshot_id
  ami                       = var.us.ami
  oauth_redirect_url        = var.us.oauth_redirect_url
  telemetry                 = var.us.telemetry
  secrets                   = var.us.secrets

  architecture    = var.architecture
  instance_type   = var.instance_type
  data_volume_gib = var.data_volume_gib
  release_url     = var.release_url
  release_sha256  = var.release_sha256
  proxy_port      = var.proxy_port
  jira_ports      = var.jira_ports
  oauth_client_id = var.oauth_client_id
  environment     = var.environment
  checkpoints     = local.checkpoints
  kms_endpoint    = var.kms_endpoint
}

module "eu" {
  source    = "./region"
  providers = { aws = aws.eu }

  name                      = "${var.name}-eu"
  jira_region               = "eu"
  zones                     = var.eu.zones
  gateway_zone              = var.eu.gateway_zone
  vpc_cidr                  = var.eu.vpc_cidr
  client_cidrs              = var.eu.client_cidrs
  client_security_group_ids = var.eu.client_security_group_ids
  eip_allocation_ids        = var.eu.eip_allocation_ids
  public_ipv4_pool          = var.eu.public_ipv4_pool
  data_snapshot_id          = var.eu.data_snapshot_id
  ami                       = var.eu.ami
  oauth_redirect_url        = var.eu.oauth_redirect_url
  telemetry                 = var.eu.telemetry
  secrets                   = var.eu.secrets

  architecture    = var.architecture
  instance_type   = var.instance_type
  data_volume_gib = var.data_volume_gib
  release_url     = var.release_url
  release_sha256  = var.release_sha256
  proxy_port      = var.proxy_port
  jira_ports      = var.jira_ports
  oauth_client_id = var.oauth_client_id
  environment     = var.environment
  checkpoints     = local.checkpoints
  kms_endpoint    = var.kms_endpoint
}

module "checkpoints" {
  count = var.checkpoints == null ? 0 : 1

  source    = "./checkpoints"
  providers = { aws = aws.checkpoints }

  bucket         = var.checkpoints.bucket
  retention_days = var.checkpoints.retention_days

  writers = {
    us = module.us.role_arn
    eu = module.eu.role_arn
  }
}
