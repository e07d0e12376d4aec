# One instance, since one process has the data directory. It can be replaced at any
# time: addresses, data and key are not part of it.

data "aws_ssm_parameter" "ami" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture == "amd64" ? "x86_64" : "arm64"}"
}

# Encrypted by the account's EBS key: the gateway's own is for its keyset alone, so that
# whoever may attach volumes need not be allowed to use it.
resource "aws_ebs_volume" "data" {
  availability_zone = var.zones[var.gateway_zone]
  size              = var.data_volume_gib
  type              = "gp3"
  encrypted         = true
  snapshot_id       = var.data_snapshot_id

  tags = { Name = "${var.name}-data" }

  lifecycle {
    prevent_destroy = true
  }
}

# A volume that is attached, not made with the instance, stays when that is terminated.
resource "aws_volume_attachment" "data" {
  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.data.id
  instance_id                    = aws_instance.gateway.id
  stop_instance_before_detaching = true
}

resource "aws_instance" "gateway" {
  ami                                  = coalesce(var.ami, data.aws_ssm_parameter.ami.insecure_value)
  instance_type                        = var.instance_type
  iam_instance_profile                 = aws_iam_instance_profile.gateway.name
  instance_initiated_shutdown_behavior = "stop"
  user_data_base64                     = base64gzip(local.user_data)
  user_data_replace_on_change          = true

  primary_network_interface {
    network_interface_id = aws_network_interface.gateway.id
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  root_block_device {
    volume_type           = "gp3"
    volume_size           = 16
    encrypted             = true
    delete_on_termination = true
  }

  # AWS starts it on other hardware when its own fails, with everything that it has.
  maintenance_options {
    auto_recovery = "default"
  }

  tags = { Name = var.name }

  lifecycle {
    # A newer image is taken when the instance is replaced, not whenever one comes out.
    ignore_changes = [ami]
  }

  # At its first start it downloads, asks for secrets, and uses the key.
  depends_on = [
    aws_eip_association.egress,
    aws_iam_role_policy.gateway,
    aws_route.internet,
    aws_route_table_association.gateway,
    aws_vpc_endpoint.kms,
    aws_vpc_security_group_egress_rule.jira,
    aws_vpc_security_group_ingress_rule.endpoint,
  ]
}
