#!/bin/sh
# Gives the guest the name and the address that the kernel's command line names, before anything asks for them.
set -eu
name= address=
for word in $(cat /proc/cmdline); do
    case $word in
    hosts.name=*) name=${word#*=} ;;
    hosts.address=*) address=${word#*=} ;;
    esac
done
echo "$name" >/etc/hostname
hostname "$name"
# In the order of the devices on the bus: the first leads to the machine that booted this, the second to the other guests.
set -- $(ls /sys/class/net | grep -v '^lo$' | sort)
ip link set lo up
ip address add 10.0.2.15/24 dev "$1"
ip link set "$1" up
ip address add "$address/24" dev "$2"
ip link set "$2" up
